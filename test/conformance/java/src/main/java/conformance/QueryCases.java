package conformance;

import static conformance.World.bytes;
import static conformance.World.text;

import java.util.List;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** Finding messages by what they are called. */
final class QueryCases {

    private QueryCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("queryByKey", QueryCases::byKey),
            new Case("queryByUniqueKey", QueryCases::byUniqueKey),
            new Case("queryByTime", QueryCases::byTime),
            new Case("queryUnknown", QueryCases::unknown));
    }

    private static List<String> texts(List<MessageExt> messages) {
        return messages.stream().map(m -> text(m)).sorted().collect(Collectors.toList());
    }

    private static List<String> find(World world, String topic, String key) throws Exception {
        return texts(world.admin.queryMessage(topic, key, 32, 0, Long.MAX_VALUE).getMessageList());
    }

    private static void byKey(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producer();
        producer.send(new Message(topic, "red", "order-1 customer-7", bytes("a")), world.queue(topic, 0));
        producer.send(new Message(topic, "red", "order-2 customer-7", bytes("b")), world.queue(topic, 1));
        producer.send(List.of(
            new Message(topic, "blue", "order-3", bytes("c")),
            new Message(topic, "blue", "größe", bytes("d"))), world.queue(topic, 0));

        Check.eventually(10, "all four are indexed", () -> find(world, topic, "größe").size() == 1);
        Check.equal(List.of("a"), find(world, topic, "order-1"), "messages of one key");
        Check.equal(List.of("a", "b"), find(world, topic, "customer-7"), "messages of a shared key");
        Check.equal(List.of("c"), find(world, topic, "order-3"), "a message of a batch");
        Check.equal(1, world.admin.queryMessage(topic, "customer-7", 1, 0, Long.MAX_VALUE).getMessageList().size(), "no more than asked for");
    }

    private static void byUniqueKey(World world) throws Exception {
        String topic = world.topic(1);
        SendResult sent = world.producer().send(new Message(topic, bytes("one")));
        Check.eventually(10, "the unique key finds it", () -> text(world.admin.viewMessage(topic, sent.getMsgId())).equals("one"));
        MessageExt byOffset = world.admin.viewMessage(topic, sent.getOffsetMsgId());
        Check.equal("one", text(byOffset), "by its place in the log");
        Check.equal(sent.getMsgId(), byOffset.getMsgId(), "its unique key");
    }

    private static void byTime(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        producer.send(new Message(topic, null, "k", bytes("early")), world.queue(topic, 0));
        Thread.sleep(2_500);
        long between = System.currentTimeMillis();
        Thread.sleep(2_500);
        producer.send(new Message(topic, null, "k", bytes("late")), world.queue(topic, 0));

        Check.eventually(10, "both are indexed", () -> find(world, topic, "k").size() == 2);
        Check.equal(List.of("early"), texts(world.admin.queryMessage(topic, "k", 32, 0, between).getMessageList()), "before");
        Check.equal(List.of("late"), texts(world.admin.queryMessage(topic, "k", 32, between, Long.MAX_VALUE).getMessageList()), "after");
    }

    private static void unknown(World world) throws Exception {
        String topic = world.topic(1);
        Check.refused(ResponseCode.NO_MESSAGE, () -> world.admin.queryMessage(topic, "never", 32, 0, Long.MAX_VALUE));
    }
}
