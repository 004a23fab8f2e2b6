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
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** Offsets of queues and groups, and pulling by hand. */
@SuppressWarnings("deprecation")
final class PullCases {

    private PullCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("queueOffsets", PullCases::queueOffsets),
            new Case("offsetByTime", PullCases::offsetByTime),
            new Case("messageById", PullCases::messageById),
            new Case("pullFromTheMiddle", PullCases::fromTheMiddle),
            new Case("pullOutsideTheQueue", PullCases::outsideTheQueue),
            new Case("pullByTags", PullCases::byTags),
            new Case("pullWakesOnArrival", PullCases::wakesOnArrival),
            new Case("pullHoldEnds", PullCases::holdEnds),
            new Case("consumerOffsetKept", PullCases::consumerOffsetKept),
            new Case("litePullSubscribe", PullCases::litePullSubscribe),
            new Case("litePullAssignSeek", PullCases::litePullAssignSeek));
    }

    private static void queueOffsets(World world) throws Exception {
        String topic = world.topic(2);
        MessageQueue queue = world.queue(topic, 1);
        DefaultMQPullConsumer consumer = world.puller(world.group());
        Check.equal(0L, consumer.maxOffset(queue), "maxOffset of a new queue");
        Check.equal(0L, consumer.minOffset(queue), "minOffset of a new queue");
        world.send(world.producer(), queue, numbered("q", 5));
        Check.eventually(10, "maxOffset 5", () -> consumer.maxOffset(queue) == 5);
        Check.equal(0L, consumer.minOffset(queue), "minOffset");
        Check.equal(0L, consumer.maxOffset(world.queue(topic, 0)), "maxOffset of the other queue");
        Check.equal(Set.of(queue, world.queue(topic, 0)), new HashSet<>(consumer.fetchSubscribeMessageQueues(topic)), "queues");
        long earliest = consumer.earliestMsgStoreTime(queue);
        Check.that(Math.abs(earliest - System.currentTimeMillis()) < 30_000, "earliest store time is just now");
    }

    private static void offsetByTime(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQProducer producer = world.producer();
        DefaultMQPullConsumer consumer = world.puller(world.group());
        world.send(producer, queue, numbered("early", 3));
        Thread.sleep(300); // the time between the two groups is what is searched for
        world.send(producer, queue, numbered("late", 3));
        List<MessageExt> all = world.read(consumer, queue, 0, 6);
        long lateAt = all.get(3).getStoreTimestamp();
        Check.equal(0L, consumer.searchOffset(queue, 1_000), "offset of a time before all");
        Check.equal(3L, consumer.searchOffset(queue, lateAt), "offset of the time of the fourth");
        Check.equal(3L, consumer.searchOffset(queue, lateAt - 100), "offset of a time between both");
        Check.equal(6L, consumer.searchOffset(queue, lateAt + 3_600_000), "offset of a time after all");
    }

    private static void messageById(World world) throws Exception {
        String topic = world.topic(1);
        SendResult result = world.producer().send(new Message(topic, "t", "k", bytes("found by id")));
        MessageExt got = world.admin.viewMessage(topic, result.getOffsetMsgId());
        Check.equal("found by id", text(got), "body");
        Check.equal("k", got.getKeys(), "keys");
        Check.equal(result.getMsgId(), got.getMsgId(), "msgId");
    }

    private static void fromTheMiddle(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQPullConsumer consumer = world.puller(world.group());
        world.send(world.producer(), queue, numbered("m", 40));
        world.read(consumer, queue, 0, 40);

        PullResult middle = consumer.pull(queue, "*", 30, 4);
        Check.equal(PullStatus.FOUND, middle.getPullStatus(), "status");
        Check.equal(List.of("m30", "m31", "m32", "m33"), middle.getMsgFoundList().stream().map(World::text).toList(), "messages");
        Check.equal(34L, middle.getNextBeginOffset(), "nextBeginOffset");
        Check.equal(0L, middle.getMinOffset(), "minOffset");
        Check.equal(40L, middle.getMaxOffset(), "maxOffset");
        PullResult end = consumer.pull(queue, "*", 38, 32);
        Check.equal(2, end.getMsgFoundList().size(), "messages up to the end");
        Check.equal(40L, end.getNextBeginOffset(), "nextBeginOffset at the end");
    }

    private static void outsideTheQueue(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQPullConsumer consumer = world.puller(world.group());
        Check.equal(PullStatus.NO_NEW_MSG, consumer.pull(queue, "*", 0, 32).getPullStatus(), "status at the start of an empty queue");
        world.send(world.producer(), queue, numbered("m", 5));
        world.read(consumer, queue, 0, 5);
        PullResult end = consumer.pull(queue, "*", 5, 32);
        Check.equal(PullStatus.NO_NEW_MSG, end.getPullStatus(), "status at the end");
        Check.equal(5L, end.getNextBeginOffset(), "nextBeginOffset at the end");
        PullResult beyond = consumer.pull(queue, "*", 1_000, 32);
        Check.equal(PullStatus.OFFSET_ILLEGAL, beyond.getPullStatus(), "status beyond the end");
        Check.equal(5L, beyond.getNextBeginOffset(), "nextBeginOffset beyond the end");
    }

    private static void byTags(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQProducer producer = world.producer();
        for (int i = 0; i < 12; i++) producer.send(new Message(topic, List.of("a", "b", "c").get(i % 3), bytes("m" + i)), queue);
        producer.send(new Message(topic, bytes("untagged")), queue);
        DefaultMQPullConsumer consumer = world.puller(world.group());
        world.read(consumer, queue, 0, 13);

        PullResult two = consumer.pull(queue, "a || c", 0, 32);
        Check.equal(List.of("m0", "m2", "m3", "m5", "m6", "m8", "m9", "m11"), two.getMsgFoundList().stream().map(World::text).toList(), "messages of a || c");
        Check.equal(13L, two.getNextBeginOffset(), "nextBeginOffset counts what was passed over");
        PullResult none = consumer.pull(queue, "d", 0, 32);
        Check.equal(PullStatus.NO_MATCHED_MSG, none.getPullStatus(), "status where no tag matches");
        Check.equal(13L, none.getNextBeginOffset(), "nextBeginOffset where no tag matches");
    }

    private static void wakesOnArrival(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQProducer producer = world.producer();
        DefaultMQPullConsumer consumer = world.puller(world.group());
        world.send(producer, queue, List.of("first"));
        world.read(consumer, queue, 0, 1);
        List<Long> waits = new ArrayList<>();
        for (int i = 1; i <= 5; i++) {
            long from = i;
            CompletableFuture<PullResult> held = CompletableFuture.supplyAsync(() -> {
                try {
                    return consumer.pullBlockIfNotFound(queue, "*", from, 32);
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            });
            Thread.sleep(300); // long enough that the broker holds it
            Check.that(!held.isDone(), "a pull at the end is held");
            long sentAt = System.nanoTime();
            world.send(producer, queue, List.of("wake" + i));
            PullResult result = held.get(10, TimeUnit.SECONDS);
            waits.add((System.nanoTime() - sentAt) / 1_000_000);
            Check.equal(PullStatus.FOUND, result.getPullStatus(), "status");
            Check.equal("wake" + i, text(result.getMsgFoundList().get(0)), "message");
        }
        waits.sort(null);
        // a broker that is not woken looks at what it holds every five seconds, so all but the first would take more than four
        Check.that(waits.get(2) < 2_000, "a held pull is answered at once, median of " + waits + " ms");
    }

    private static void holdEnds(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(world.group());
        consumer.setNamesrvAddr(world.namesrv);
        consumer.setInstanceName(world.caseName);
        consumer.setBrokerSuspendMaxTimeMillis(3_000);
        consumer.start();
        try {
            long start = System.nanoTime();
            PullResult result = consumer.pullBlockIfNotFound(world.queue(topic, 0), "*", 0, 32);
            long ms = (System.nanoTime() - start) / 1_000_000;
            Check.equal(PullStatus.NO_NEW_MSG, result.getPullStatus(), "status");
            Check.that(ms >= 2_900 && ms < 12_000, "it is held for about 3 s (the peer looks every 5 s), saw " + ms + " ms");
        } finally {
            consumer.shutdown();
        }
    }

    private static void consumerOffsetKept(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        world.send(world.producer(), queue, numbered("m", 10));
        world.subscriptionGroup(world.group());
        DefaultMQPullConsumer first = world.puller(world.group());
        world.read(first, queue, 0, 10);
        first.getOffsetStore().updateConsumeOffsetToBroker(queue, 7, false);

        DefaultMQPullConsumer second = world.puller(world.group());
        Check.equal(7L, second.fetchConsumeOffset(queue, true), "consumerOffset that another instance sees");
        first.getOffsetStore().updateConsumeOffsetToBroker(queue, 3, false);
        Check.equal(3L, second.fetchConsumeOffset(queue, true), "consumerOffset after it was set back");
    }

    private static void litePullSubscribe(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producer();
        for (int queueId = 0; queueId < 2; queueId++) world.send(producer, world.queue(topic, queueId), numbered(queueId + ":", 20));
        DefaultLitePullConsumer consumer = world.litePuller(world.group());
        consumer.subscribe(topic, "*");
        consumer.start();
        Set<String> seen = new TreeSet<>();
        Check.eventually(World.DELIVERY_SECONDS, "all 40 messages", () -> {
            for (MessageExt got : consumer.poll(500)) seen.add(text(got));
            return seen.size() == 40;
        });
        consumer.commitSync();
        Check.eventually(15, "consumerOffset 20 of both queues", () ->
            world.admin.examineConsumeStats(world.group(), topic).getOffsetTable().values().stream().allMatch(o -> o.getConsumerOffset() == 20));
    }

    private static List<String> pollUntil(DefaultLitePullConsumer consumer, int count, String what) throws Exception {
        List<String> seen = new ArrayList<>();
        Check.eventually(World.DELIVERY_SECONDS, what, () -> {
            for (MessageExt got : consumer.poll(500)) seen.add(text(got));
            return seen.size() >= count;
        });
        return seen;
    }

    private static void litePullAssignSeek(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        world.send(world.producer(), queue, numbered("m", 20));
        DefaultLitePullConsumer consumer = world.litePuller(world.group());
        consumer.setAutoCommit(false);
        consumer.start();
        consumer.assign(List.of(queue));
        // Read to the end first: what a pull under way brings after a seek, the client hands out all the same.
        pollUntil(consumer, 20, "all of them");
        consumer.seek(queue, 15);
        List<String> seen = pollUntil(consumer, 5, "the last five");
        Check.equal(List.of("m15", "m16", "m17", "m18", "m19"), seen, "messages after the seek");
    }
}
