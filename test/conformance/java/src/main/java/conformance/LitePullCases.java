package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullCallback;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What else the pull consumers can do: places to go to, pauses, commits, callbacks, messages sent back. */
final class LitePullCases {

    private LitePullCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("litePullPlaces", LitePullCases::places),
            new Case("litePullPause", LitePullCases::pause),
            new Case("litePullCommits", LitePullCases::commits),
            new Case("litePullSettings", LitePullCases::settings),
            new Case("litePullSelector", LitePullCases::selector),
            new Case("litePullRebalance", LitePullCases::rebalance),
            new Case("litePullQueuesChange", LitePullCases::queuesChange),
            new Case("pullCallbacks", LitePullCases::callbacks),
            new Case("pullOffsets", LitePullCases::offsets),
            new Case("pullSendBack", LitePullCases::sendBack));
    }

    /** Polls until count messages came. */
    private static List<String> poll(DefaultLitePullConsumer consumer, int count) throws Exception {
        List<String> seen = new ArrayList<>();
        Check.eventually(World.DELIVERY_SECONDS, count + " messages", () -> {
            for (MessageExt got : consumer.poll(200)) seen.add(text(got));
            return seen.size() >= count;
        });
        return seen;
    }

    private static DefaultLitePullConsumer assigned(World world, MessageQueue queue) throws Exception {
        DefaultLitePullConsumer consumer = world.litePuller(world.group());
        consumer.setAutoCommit(false);
        consumer.start();
        consumer.assign(List.of(queue));
        return consumer;
    }

    private static void places(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQProducer producer = world.producer();
        world.send(producer, queue, numbered("old", 5));
        Thread.sleep(300); // the time between both is what is asked for
        long between = System.currentTimeMillis() - 100;
        world.send(producer, queue, numbered("new", 5));
        DefaultLitePullConsumer consumer = assigned(world, queue);
        poll(consumer, 10);
        Check.equal(List.of(queue), new ArrayList<>(consumer.fetchMessageQueues(topic)), "queues");
        Check.equal(5L, consumer.offsetForTimestamp(queue, between), "offset of a time");
        consumer.seekToBegin(queue);
        Check.equal("old0", poll(consumer, 10).get(0), "first message after seekToBegin");
        consumer.seekToEnd(queue);
        world.send(producer, queue, List.of("last"));
        Check.equal(List.of("last"), poll(consumer, 1), "messages after seekToEnd");
    }

    private static void pause(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producer();
        DefaultLitePullConsumer consumer = world.litePuller(world.group());
        consumer.start();
        consumer.assign(List.of(world.queue(topic, 0), world.queue(topic, 1)));
        for (int queueId = 0; queueId < 2; queueId++) world.send(producer, world.queue(topic, queueId), List.of("first" + queueId));
        poll(consumer, 2);
        consumer.pause(List.of(world.queue(topic, 0)));
        for (int queueId = 0; queueId < 2; queueId++) world.send(producer, world.queue(topic, queueId), List.of("wake" + queueId));
        poll(consumer, 1); // a pull of the paused queue that was under way may bring one more
        Thread.sleep(500);
        consumer.poll(200);
        for (int queueId = 0; queueId < 2; queueId++) world.send(producer, world.queue(topic, queueId), numbered("while" + queueId + ":", 3));
        Check.equal(numbered("while1:", 3), poll(consumer, 3), "messages while queue 0 is paused");
        consumer.resume(List.of(world.queue(topic, 0)));
        Check.that(poll(consumer, 3).containsAll(numbered("while0:", 3)), "messages after the pause");
    }

    private static void commits(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        world.send(world.producer(), queue, numbered("m", 10));
        world.subscriptionGroup(world.group());
        DefaultLitePullConsumer consumer = assigned(world, queue);
        poll(consumer, 10);
        consumer.commit(Set.of(queue), true);
        Check.eventually(15, "a commit of what was polled", () -> committedAtBroker(world, queue) == 10);
        Check.equal(10L, consumer.committed(queue), "committed");
        consumer.shutdown();
        world.send(world.producer(), queue, List.of("late"));
        DefaultLitePullConsumer next = world.litePuller(world.group());
        next.start();
        next.assign(List.of(queue));
        Check.equal("late", poll(next, 1).get(0), "first message of the next consumer");
    }

    private static long committedAtBroker(World world, MessageQueue queue) throws Exception {
        return world.admin.examineConsumeStats(world.group(), queue.getTopic()).getOffsetTable().get(queue).getConsumerOffset();
    }

    /** Small batches, small thresholds, an own pace of commits: all messages, in order. */
    private static void settings(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        world.send(world.producer(), queue, numbered("m", 50));
        DefaultLitePullConsumer consumer = world.litePuller(world.group());
        consumer.setPullBatchSize(3);
        consumer.setPullThreadNums(1);
        consumer.setPullThresholdForQueue(6);
        consumer.setPullThresholdSizeForQueue(1);
        consumer.setPullThresholdForAll(10);
        consumer.setConsumeMaxSpan(10);
        consumer.setAutoCommitIntervalMillis(1_000);
        consumer.subscribe(topic, "*");
        consumer.start();
        List<String> seen = new ArrayList<>();
        Set<Integer> sizes = new TreeSet<>();
        Check.eventually(World.DELIVERY_SECONDS, "all messages", () -> {
            List<MessageExt> batch = consumer.poll(500);
            sizes.add(batch.size());
            for (MessageExt got : batch) seen.add(text(got));
            return seen.size() >= 50;
        });
        Check.equal(numbered("m", 50), seen, "messages in order");
        Check.that(sizes.stream().allMatch(n -> n <= 3), "batches of at most 3, saw " + sizes);
        Check.eventually(30, "committed by itself", () -> {
            consumer.poll(100);
            return world.admin.examineConsumeStats(world.group(), topic).getOffsetTable().get(queue).getConsumerOffset() == 50;
        });
    }

    private static void selector(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        for (String tag : List.of("a", "b", "c")) producer.send(new Message(topic, tag, bytes(tag)));
        DefaultLitePullConsumer consumer = world.litePuller(world.group());
        consumer.subscribe(topic, MessageSelector.byTag("a || c"));
        consumer.start();
        Check.equal(new TreeSet<>(List.of("a", "c")), new TreeSet<>(poll(consumer, 2)), "messages of two tags");
        consumer.unsubscribe(topic);
        Check.eventually(World.DELIVERY_SECONDS, "the broker knows that it is subscribed no more", () -> !world.admin
            .examineConsumerConnectionInfo(world.group()).getSubscriptionTable().containsKey(topic));
    }

    private static void rebalance(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        List<DefaultLitePullConsumer> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultLitePullConsumer consumer = world.litePuller(world.group());
            consumer.subscribe(topic, "*");
            consumer.start();
            members.add(consumer);
        }
        Check.eventually(World.DELIVERY_SECONDS, "two queues each", () ->
            members.get(0).assignment().size() == 2 && members.get(1).assignment().size() == 2);
        for (int queueId = 0; queueId < 4; queueId++) world.send(producer, world.queue(topic, queueId), numbered(queueId + ":", 5));
        Set<String> seen = ConcurrentHashMap.newKeySet();
        Check.eventually(World.DELIVERY_SECONDS, "all messages between both", () -> {
            for (DefaultLitePullConsumer member : members) for (MessageExt got : member.poll(100)) seen.add(text(got));
            return seen.size() == 20;
        });
        members.get(0).shutdown();
        Check.eventually(World.DELIVERY_SECONDS, "all queues for the one that is left", () -> members.get(1).assignment().size() == 4);
    }

    /** A listener is told when a topic gets more queues. */
    private static void queuesChange(World world) throws Exception {
        String topic = world.topic(2);
        DefaultLitePullConsumer consumer = world.litePuller(world.group());
        consumer.setTopicMetadataCheckIntervalMillis(500);
        CompletableFuture<Integer> told = new CompletableFuture<>();
        consumer.start();
        consumer.registerTopicMessageQueueChangeListener(topic, (name, queues) -> told.complete(queues.size()));
        world.topic(topic, 4, 4, 6);
        Check.equal(4, told.get(World.DELIVERY_SECONDS, TimeUnit.SECONDS), "queues that the listener is told of");
    }

    @SuppressWarnings("deprecation")
    private static void callbacks(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        world.send(world.producer(), queue, numbered("m", 5));
        DefaultMQPullConsumer consumer = world.puller(world.group());
        world.read(consumer, queue, 0, 5);
        CompletableFuture<PullResult> first = new CompletableFuture<>();
        consumer.pull(queue, "*", 1, 2, into(first));
        PullResult got = first.get(20, TimeUnit.SECONDS);
        Check.equal(PullStatus.FOUND, got.getPullStatus(), "status");
        Check.equal("m1", text(got.getMsgFoundList().get(0)), "first message");
        CompletableFuture<PullResult> held = new CompletableFuture<>();
        consumer.pullBlockIfNotFound(queue, "*", 5, 2, into(held));
        Thread.sleep(300);
        Check.that(!held.isDone(), "a pull at the end is held");
        world.send(world.producer(), queue, List.of("late"));
        Check.equal("late", text(held.get(20, TimeUnit.SECONDS).getMsgFoundList().get(0)), "message that woke it");
        PullResult selected = consumer.pull(queue, MessageSelector.byTag("nobody"), 0, 8);
        Check.equal(PullStatus.NO_MATCHED_MSG, selected.getPullStatus(), "status where no tag matches");
        Check.equal(PullStatus.FOUND, consumer.pull(queue, "*", 0, 8, 5_000).getPullStatus(), "status of a pull with a timeout");
    }

    private static PullCallback into(CompletableFuture<PullResult> future) {
        return new PullCallback() {
            @Override public void onSuccess(PullResult result) {
                future.complete(result);
            }

            @Override public void onException(Throwable e) {
                future.completeExceptionally(e);
            }
        };
    }

    @SuppressWarnings("deprecation")
    private static void offsets(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        world.send(world.producer(), queue, numbered("m", 5));
        world.subscriptionGroup(world.group());
        DefaultMQPullConsumer consumer = world.puller(world.group());
        world.read(consumer, queue, 0, 5);
        Check.that(consumer.fetchConsumeOffset(queue, true) <= 0, "nothing is committed yet");
        consumer.updateConsumeOffset(queue, 3);
        Check.equal(3L, consumer.fetchConsumeOffset(queue, false), "offset in memory");
        consumer.getOffsetStore().persistAll(new HashSet<>(Set.of(queue)));
        Check.eventually(15, "offset at the broker", () -> consumer.fetchConsumeOffset(queue, true) == 3);
    }

    /** A message that a pull consumer sends back lands in its group's retry topic once its delay is over. */
    @SuppressWarnings("deprecation")
    private static void sendBack(World world) throws Exception {
        String topic = world.topic(1);
        world.subscriptionGroup(world.group());
        world.send(world.producer(), world.queue(topic, 0), List.of("back"));
        DefaultMQPullConsumer consumer = world.puller(world.group());
        MessageExt got = world.read(consumer, world.queue(topic, 0), 0, 1).get(0);
        consumer.sendMessageBack(got, 1, world.brokerName);
        MessageQueue retry = world.queue("%RETRY%" + world.group(), 0);
        Check.eventually(20, "a message in the retry topic", () -> world.admin.maxOffset(retry) == 1);
        MessageExt again = world.read(consumer, retry, 0, 1).get(0);
        Check.equal("back", text(again), "body");
        Check.equal(1, again.getReconsumeTimes(), "reconsumeTimes");
    }
}
