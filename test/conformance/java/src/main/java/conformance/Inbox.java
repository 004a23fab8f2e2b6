package conformance;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.MessageExt;

/** What a consumer received, in the order of its coming. */
final class Inbox {

    final List<MessageExt> all = new CopyOnWriteArrayList<>();

    MessageListenerConcurrently listener() {
        return (messages, context) -> {
            all.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        };
    }

    /** Deliveries, repeated ones too. */
    int size() {
        return all.size();
    }

    Set<String> texts() {
        Set<String> texts = new TreeSet<>();
        for (MessageExt message : all) texts.add(World.text(message));
        return texts;
    }

    Set<Integer> queueIds() {
        Set<Integer> ids = new TreeSet<>();
        for (MessageExt message : all) ids.add(message.getQueueId());
        return ids;
    }

    boolean hasAll(List<String> expected) {
        return texts().containsAll(expected);
    }

    /** Waits until these and no others are there. */
    void await(List<String> expected, String what) throws InterruptedException {
        Check.eventually(World.DELIVERY_SECONDS, what, () -> hasAll(expected));
        Check.equal(new TreeSet<>(expected), texts(), what);
    }
}
