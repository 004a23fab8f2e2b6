package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Consumer groups: who gets what, and where they go on. */
final class PushCases {

    private PushCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("pushClustering", PushCases::clustering),
            new Case("pushRebalance", PushCases::rebalance),
            new Case("pushBroadcasting", PushCases::broadcasting),
            new Case("pushOrderly", PushCases::orderly),
            new Case("pushRetry", PushCases::retry),
            new Case("pushTags", PushCases::tags),
            new Case("pushResumes", PushCases::resumes),
            new Case("pushFromFirst", world -> fromWhere(world, ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET)),
            new Case("pushFromLast", world -> fromWhere(world, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET)),
            new Case("pushFromTimestamp", world -> fromWhere(world, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP)),
            new Case("pushManyGroups", PushCases::manyGroups),
            new Case("pushTwoTopics", PushCases::twoTopics),
            new Case("pushLatency", PushCases::latency));
    }

    /** What one member received, by message text. */
    private static final class Member {
        final DefaultMQPushConsumer consumer;
        final Map<String, AtomicInteger> received = new ConcurrentHashMap<>();
        final Set<Integer> queueIds = ConcurrentHashMap.newKeySet();

        Member(World world, String group, String topic, String tags) throws Exception {
            consumer = world.pusher(group);
            consumer.subscribe(topic, tags);
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                for (MessageExt message : messages) {
                    queueIds.add(message.getQueueId());
                    received.computeIfAbsent(text(message), t -> new AtomicInteger()).incrementAndGet();
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }

        Member start() throws Exception {
            consumer.start();
            return this;
        }
    }

    private static Set<String> union(Member... members) {
        Set<String> all = new HashSet<>();
        for (Member member : members) all.addAll(member.received.keySet());
        return all;
    }

    private static void clustering(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        for (int i = 0; i < 50; i++) producer.send(new Message(topic, bytes("before" + i)));
        Member member = new Member(world, world.group(), topic, "*").start();
        Check.eventually(World.DELIVERY_SECONDS, "what was there before it started", () -> member.received.size() == 50);
        for (int i = 0; i < 50; i++) producer.send(new Message(topic, bytes("after" + i)));
        Check.eventually(World.DELIVERY_SECONDS, "what came after it started", () -> member.received.size() == 100);
        Check.that(member.received.values().stream().allMatch(n -> n.get() == 1), "each message once");
    }

    private static void rebalance(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        Member first = new Member(world, world.group(), topic, "*").start();
        Member second = new Member(world, world.group(), topic, "*").start();
        Set<String> sent = new HashSet<>();
        int[] round = {0};
        // Members share the queues by themselves: new messages are sent until both have seen two queues each and no other.
        Check.eventually(World.DELIVERY_SECONDS, "two queues each", () -> {
            first.queueIds.clear();
            second.queueIds.clear();
            int r = round[0]++;
            for (int i = 0; i < 16; i++) {
                String text = r + ":" + i;
                producer.send(new Message(topic, bytes(text)), world.queue(topic, i % 4));
                sent.add(text);
            }
            for (int wait = 0; wait < 100 && first.queueIds.size() + second.queueIds.size() < 4; wait++) Thread.sleep(10);
            return first.queueIds.size() == 2 && second.queueIds.size() == 2 && union(first, second).containsAll(sent);
        });
        first.consumer.shutdown();
        for (int i = 0; i < 40; i++) {
            String text = "alone:" + i;
            producer.send(new Message(topic, bytes(text)), world.queue(topic, i % 4));
            sent.add(text);
        }
        Check.eventually(World.DELIVERY_SECONDS, "the one that is left gets the rest", () -> second.received.keySet().containsAll(
            numbered("alone:", 40)));
        Check.that(union(first, second).equals(sent), "no message is missing");
    }

    private static void broadcasting(World world) throws Exception {
        String topic = world.topic(2);
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Member member = new Member(world, world.group(), topic, "*");
            member.consumer.setMessageModel(MessageModel.BROADCASTING);
            members.add(member.start());
        }
        DefaultMQProducer producer = world.producer();
        for (int i = 0; i < 20; i++) producer.send(new Message(topic, bytes("b" + i)));
        for (Member member : members) {
            Check.eventually(World.DELIVERY_SECONDS, "every member gets every message", () -> member.received.size() == 20);
        }
    }

    private static void orderly(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        Map<Integer, List<String>> perQueue = new ConcurrentHashMap<>();
        AtomicInteger count = new AtomicInteger();
        AtomicInteger failures = new AtomicInteger();
        for (int m = 0; m < 2; m++) {
            DefaultMQPushConsumer consumer = world.pusher(world.group());
            World.start(consumer, topic, "*", (MessageListenerOrderly) (messages, context) -> {
                for (MessageExt message : messages) {
                    if (text(message).equals("5") && failures.getAndIncrement() < 1) { // once: the queue waits for this message
                        context.setSuspendCurrentQueueTimeMillis(100);
                        return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                    }
                    List<String> seen = perQueue.computeIfAbsent(message.getQueueId(), q -> new ArrayList<>());
                    synchronized (seen) {
                        seen.add(text(message));
                    }
                    count.incrementAndGet();
                }
                return ConsumeOrderlyStatus.SUCCESS;
            });
        }
        for (int i = 0; i < 30; i++) {
            for (int queueId = 0; queueId < 4; queueId++) {
                producer.send(new Message(topic, bytes(String.valueOf(i))), world.queue(topic, queueId));
            }
        }
        Check.eventually(World.DELIVERY_SECONDS, "all 120 messages", () -> count.get() >= 120);
        for (int queueId = 0; queueId < 4; queueId++) {
            // A rebalance in the middle may repeat some, but never goes back further and never leaves one out.
            List<String> seen = new ArrayList<>(perQueue.get(queueId));
            List<String> firsts = seen.stream().distinct().toList();
            Check.equal(numbered("", 30), firsts, "order in queue " + queueId);
        }
        Check.that(failures.get() >= 1, "a message that fails is offered again");
    }

    private static void retry(World world) throws Exception {
        String topic = world.topic(1);
        // made by the group's first heartbeat otherwise, and then found by the client half a minute later
        world.topic("%RETRY%" + world.group(), 1, 1, 6);
        ConcurrentLinkedQueue<MessageExt> seen = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        World.start(consumer, topic, "*", (MessageListenerConcurrently) (messages, context) -> {
            seen.addAll(messages);
            context.setDelayLevelWhenNextConsume(1); // one second
            return messages.get(0).getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        Message sent = new Message(topic, "t", "k", bytes("again"));
        sent.putUserProperty("colour", "green");
        world.producer().send(sent);

        Check.eventually(World.DELIVERY_SECONDS, "the second delivery", () -> seen.size() >= 2);
        MessageExt first = seen.poll();
        MessageExt second = seen.poll();
        Check.equal(0, first.getReconsumeTimes(), "reconsumeTimes of the first delivery");
        Check.equal(1, second.getReconsumeTimes(), "reconsumeTimes of the second delivery");
        Check.equal(topic, second.getTopic(), "topic that the listener sees");
        Check.equal("again", text(second), "body");
        Check.equal("t", second.getTags(), "tags");
        Check.equal("k", second.getKeys(), "keys");
        Check.equal("green", second.getUserProperty("colour"), "user property");
        Check.equal(first.getMsgId(), second.getMsgId(), "msgId");
        Check.equal(first.getBornTimestamp(), second.getBornTimestamp(), "bornTimestamp");
        Check.that(second.getStoreTimestamp() - first.getStoreTimestamp() >= 900, "it comes back after the delay");
    }

    private static void tags(World world) throws Exception {
        String topic = world.topic(2);
        Member two = new Member(world, world.group(), topic, "a || b").start();
        DefaultMQProducer producer = world.producer();
        // "Aa" and "BB" have the same hash code: what the broker lets through the client must look at again
        for (String tag : List.of("a", "b", "c", "Aa", "BB")) {
            for (int i = 0; i < 5; i++) producer.send(new Message(topic, tag, bytes(tag + i)));
        }
        Member hash = new Member(world, world.group() + "_hash", topic, "Aa").start();
        Check.eventually(World.DELIVERY_SECONDS, "tags a and b", () -> two.received.size() == 10);
        Check.eventually(World.DELIVERY_SECONDS, "tag Aa", () -> hash.received.size() == 5);
        Check.equal(new TreeSet<>(List.of("Aa0", "Aa1", "Aa2", "Aa3", "Aa4")), new TreeSet<>(hash.received.keySet()), "messages of Aa");
        Check.that(two.received.keySet().stream().allMatch(t -> t.startsWith("a") || t.startsWith("b")), "no other tags: " + two.received.keySet());
    }

    private static void resumes(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producer();
        Member first = new Member(world, world.group(), topic, "*").start();
        for (int i = 0; i < 30; i++) producer.send(new Message(topic, bytes("first" + i)));
        Check.eventually(World.DELIVERY_SECONDS, "the first thirty", () -> first.received.size() == 30);
        first.consumer.shutdown(); // tells the broker its offsets
        for (int i = 0; i < 30; i++) producer.send(new Message(topic, bytes("second" + i)));
        Member second = new Member(world, world.group(), topic, "*").start();
        Check.eventually(World.DELIVERY_SECONDS, "the second thirty", () -> second.received.size() >= 30);
        Check.equal(new TreeSet<>(numbered("second", 30)), new TreeSet<>(second.received.keySet()), "messages after the restart");
    }

    /** A group without offsets; the queue is young, so the broker offers all of it, whatever the client would fall back to. */
    private static void fromWhere(World world, ConsumeFromWhere where) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        world.send(producer, world.queue(topic, 0), numbered("old", 10));
        Member member = new Member(world, world.group(), topic, "*");
        member.consumer.setConsumeFromWhere(where);
        member.consumer.setConsumeTimestamp(UtilAll.timeMillisToHumanString3(System.currentTimeMillis() - 3_600_000));
        member.start();
        Check.eventually(World.DELIVERY_SECONDS, "the old messages", () -> member.received.size() == 10);
        world.send(producer, world.queue(topic, 0), numbered("new", 10));
        Check.eventually(World.DELIVERY_SECONDS, "the new messages", () -> member.received.keySet().containsAll(numbered("new", 10)));
        Check.that(member.received.values().stream().allMatch(n -> n.get() == 1), "each message once");
    }

    private static void manyGroups(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producer();
        List<Member> members = new ArrayList<>();
        for (int g = 0; g < 5; g++) members.add(new Member(world, world.group() + g, topic, "*").start());
        for (int i = 0; i < 40; i++) producer.send(new Message(topic, bytes("m" + i)));
        for (Member member : members) Check.eventually(World.DELIVERY_SECONDS, "each group gets all", () -> member.received.size() == 40);
    }

    private static void twoTopics(World world) throws Exception {
        String one = world.topic(world.topicName() + "_1", 2, 2, 6);
        String two = world.topic(world.topicName() + "_2", 2, 2, 6);
        Member member = new Member(world, world.group(), one, "*");
        member.consumer.subscribe(two, "wanted");
        member.start();
        DefaultMQProducer producer = world.producer();
        for (int i = 0; i < 10; i++) {
            producer.send(new Message(one, bytes("one" + i)));
            producer.send(new Message(two, "wanted", bytes("two" + i)));
            producer.send(new Message(two, "unwanted", bytes("three" + i)));
        }
        Check.eventually(World.DELIVERY_SECONDS, "both topics", () -> member.received.size() == 20);
        Check.that(member.received.keySet().stream().noneMatch(t -> t.startsWith("three")), "only the tags asked for");
    }

    private static void latency(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        Map<String, Long> arrivedAt = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        World.start(consumer, topic, "*", (MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) arrivedAt.put(text(message), System.nanoTime());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        producer.send(new Message(topic, bytes("warm")));
        Check.eventually(World.DELIVERY_SECONDS, "the first message", () -> arrivedAt.containsKey("warm"));
        Map<String, Long> sentAt = new HashMap<>();
        for (String name : numbered("l", 21)) {
            Thread.sleep(30);
            sentAt.put(name, System.nanoTime());
            producer.send(new Message(topic, bytes(name)));
        }
        Check.eventually(20, "all messages", () -> arrivedAt.size() == 22);
        List<Long> ms = sentAt.entrySet().stream().map(e -> (arrivedAt.get(e.getKey()) - e.getValue()) / 1_000_000).sorted().toList();
        Check.that(ms.get(10) < 200, "a waiting consumer gets a message at once, median of " + ms + " ms");
    }
}
