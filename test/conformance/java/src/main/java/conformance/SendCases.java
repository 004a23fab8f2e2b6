package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** Sending, and what of a message arrives. */
final class SendCases {

    private SendCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("sendSync", SendCases::sync),
            new Case("sendAsync", SendCases::async),
            new Case("sendOneway", SendCases::oneway),
            new Case("sendRoundRobin", SendCases::roundRobin),
            new Case("sendTagsKeysProperties", SendCases::tagsKeysProperties),
            new Case("sendUnicode", SendCases::unicode),
            new Case("sendBigBody", SendCases::bigBody),
            new Case("sendCompressedBody", SendCases::compressedBody),
            new Case("sendTooLarge", SendCases::tooLarge),
            new Case("sendBatch", SendCases::batch),
            new Case("sendSelectedQueue", SendCases::selectedQueue),
            new Case("sendConcurrently", SendCases::concurrently),
            new Case("sendUnknownTopic", SendCases::unknownTopic),
            new Case("sendReadOnlyTopic", SendCases::readOnlyTopic));
    }

    private static void sync(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        for (int i = 0; i < 10; i++) {
            SendResult result = producer.send(new Message(topic, bytes("m" + i)));
            Check.equal(SendStatus.SEND_OK, result.getSendStatus(), "status");
            Check.equal((long) i, result.getQueueOffset(), "queueOffset");
            Check.equal(world.queue(topic, 0), result.getMessageQueue(), "queue");
            Check.equal(32, result.getMsgId().length(), "length of msgId");
            Check.equal(32, result.getOffsetMsgId().length(), "length of offsetMsgId");
            Check.equal("DefaultRegion", result.getRegionId(), "region");
        }
    }

    private static void async(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        int count = 200;
        CountDownLatch done = new CountDownLatch(count);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (String body : numbered("a", count)) {
            producer.send(new Message(topic, bytes(body)), new SendCallback() {
                @Override public void onSuccess(SendResult result) {
                    done.countDown();
                }

                @Override public void onException(Throwable e) {
                    failure.set(e);
                    done.countDown();
                }
            });
        }
        Check.that(done.await(20, TimeUnit.SECONDS), "every callback is called");
        if (failure.get() != null) throw new AssertionError("a send failed", failure.get());
        List<MessageExt> all = world.read(world.puller(world.group()), world.queue(topic, 0), 0, count);
        Check.equal((long) count, all.stream().map(World::text).distinct().count(), "distinct messages");
    }

    private static void oneway(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        for (String body : numbered("o", 20)) producer.sendOneway(new Message(topic, bytes(body)));
        List<MessageExt> all = world.read(world.puller(world.group()), world.queue(topic, 0), 0, 20);
        Check.equal(20L, all.stream().map(World::text).distinct().count(), "distinct messages");
    }

    private static void roundRobin(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        Map<Integer, Integer> perQueue = new HashMap<>();
        for (int i = 0; i < 40; i++) {
            perQueue.merge(producer.send(new Message(topic, bytes("r" + i))).getMessageQueue().getQueueId(), 1, Integer::sum);
        }
        Check.equal(Map.of(0, 10, 1, 10, 2, 10, 3, 10), perQueue, "messages per queue");
    }

    private static void tagsKeysProperties(World world) throws Exception {
        String topic = world.topic(1);
        Message sent = new Message(topic, "paid", "order-1 customer-7", 42, bytes("body"), true);
        sent.putUserProperty("colour", "green");
        sent.setBuyerId("buyer");
        long before = System.currentTimeMillis();
        SendResult result = world.producer().send(sent);

        MessageExt got = world.read(world.puller(world.group()), world.queue(topic, 0), 0, 1).get(0);
        Check.equal(topic, got.getTopic(), "topic");
        Check.equal("body", text(got), "body");
        Check.equal("paid", got.getTags(), "tags");
        Check.equal("order-1 customer-7", got.getKeys(), "keys");
        Check.equal(42, got.getFlag(), "flag");
        Check.equal("green", got.getUserProperty("colour"), "user property");
        Check.equal("buyer", got.getBuyerId(), "buyer");
        Check.equal(result.getMsgId(), got.getMsgId(), "msgId");
        Check.equal(0, got.getQueueId(), "queueId");
        Check.equal(0L, got.getQueueOffset(), "queueOffset");
        Check.equal(0, got.getReconsumeTimes(), "reconsumeTimes");
        Check.equal(world.brokerName, got.getBrokerName(), "brokerName");
        Check.that(Math.abs(got.getBornTimestamp() - before) < 5_000, "bornTimestamp is the time of the send");
        Check.that(Math.abs(got.getStoreTimestamp() - before) < 5_000, "storeTimestamp is the time of the send");
        Check.equal("127.0.0.1", got.getBornHostString(), "bornHost");
        Check.that(got.getStoreHost().toString().endsWith(world.brokerAddr), "storeHost is the broker's address, saw " + got.getStoreHost());
    }

    private static void unicode(World world) throws Exception {
        String topic = world.topic(1);
        String text = "żółć 消息队列 🚀 \u0000\u0003 \"quoted\" \\ {json}";
        Message sent = new Message(topic, "标签", "ключ", bytes(text));
        sent.putUserProperty("Größe", "été, \"и\" 🚀");
        world.producer().send(sent);

        MessageExt got = world.read(world.puller(world.group()), world.queue(topic, 0), 0, 1).get(0);
        Check.equal(text, text(got), "body");
        Check.equal("标签", got.getTags(), "tags");
        Check.equal("ключ", got.getKeys(), "keys");
        Check.equal("été, \"и\" 🚀", got.getUserProperty("Größe"), "user property");
    }

    private static void bigBody(World world) throws Exception {
        String topic = world.topic(1);
        byte[] body = new byte[4 * 1024 * 1024 - 1024];
        new Random(7).nextBytes(body);
        DefaultMQProducer producer = world.producer();
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.send(new Message(topic, body));
        MessageExt got = world.read(world.puller(world.group()), world.queue(topic, 0), 0, 1).get(0);
        Check.that(Arrays.equals(body, got.getBody()), "all bytes of a body of almost 4 MiB arrive");
    }

    private static void compressedBody(World world) throws Exception {
        String topic = world.topic(1);
        byte[] body = bytes("the same again and again. ".repeat(20_000));
        world.producer().send(new Message(topic, body));
        MessageExt got = world.read(world.puller(world.group()), world.queue(topic, 0), 0, 1).get(0);
        Check.that(Arrays.equals(body, got.getBody()), "the body is as before its compression");
        Check.that(got.getStoreSize() < body.length / 10, "it is stored compressed");
    }

    private static void tooLarge(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        producer.setMaxMessageSize(8 * 1024 * 1024); // lets the client pass what the broker must refuse
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        Check.refused(ResponseCode.MESSAGE_ILLEGAL, () -> producer.send(new Message(topic, new byte[5 * 1024 * 1024])));
        Check.equal(0L, producer.send(new Message(topic, bytes("still works"))).getQueueOffset(), "queueOffset of the next message");
    }

    private static void batch(World world) throws Exception {
        String topic = world.topic(4);
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            Message message = new Message(topic, "tag" + i, "key" + i, bytes("b" + i));
            message.putUserProperty("index", String.valueOf(i));
            messages.add(message);
        }
        SendResult result = world.producer().send(messages);
        Check.equal(SendStatus.SEND_OK, result.getSendStatus(), "status");
        Check.equal(0L, result.getQueueOffset(), "queueOffset of the first");
        Check.equal(20, result.getMsgId().split(",").length, "message ids");
        Check.equal(20, result.getOffsetMsgId().split(",").length, "offset message ids");

        List<MessageExt> all = world.read(world.puller(world.group()), result.getMessageQueue(), 0, 20);
        for (int i = 0; i < 20; i++) {
            MessageExt got = all.get(i);
            Check.equal("b" + i, text(got), "body");
            Check.equal("tag" + i, got.getTags(), "tags");
            Check.equal("key" + i, got.getKeys(), "keys");
            Check.equal(String.valueOf(i), got.getUserProperty("index"), "user property");
            Check.equal((long) i, got.getQueueOffset(), "queueOffset");
            Check.equal(result.getMsgId().split(",")[i], got.getMsgId(), "msgId");
        }
    }

    private static void selectedQueue(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        for (int i = 0; i < 40; i++) {
            int order = i % 8;
            SendResult result = producer.send(new Message(topic, bytes(order + ":" + i / 8)),
                (queues, message, id) -> queues.get((int) id % queues.size()), order);
            Check.equal(order % 4, result.getMessageQueue().getQueueId(), "queue of order " + order);
        }
        var consumer = world.puller(world.group());
        for (int queueId = 0; queueId < 4; queueId++) {
            Map<String, Integer> next = new HashMap<>();
            for (MessageExt got : world.read(consumer, world.queue(topic, queueId), 0, 10)) {
                String[] parts = text(got).split(":");
                Check.equal(next.getOrDefault(parts[0], 0), Integer.parseInt(parts[1]), "step of order " + parts[0]);
                next.merge(parts[0], 1, Integer::sum);
            }
        }
    }

    private static void concurrently(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producer();
        MessageQueue queue = world.queue(topic, 1);
        List<Thread> threads = new ArrayList<>();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (int t = 0; t < 8; t++) {
            String prefix = t + ":";
            threads.add(new Thread(() -> {
                try {
                    world.send(producer, queue, numbered(prefix, 50));
                } catch (Throwable e) {
                    failure.set(e);
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        if (failure.get() != null) throw new AssertionError("a send failed", failure.get());

        List<MessageExt> all = world.read(world.puller(world.group()), queue, 0, 400);
        Map<String, Integer> next = new HashMap<>();
        for (int i = 0; i < all.size(); i++) {
            Check.equal((long) i, all.get(i).getQueueOffset(), "queueOffset");
            String[] parts = text(all.get(i)).split(":");
            Check.equal(next.getOrDefault(parts[0], 0), Integer.parseInt(parts[1]), "order within thread " + parts[0]);
            next.merge(parts[0], 1, Integer::sum);
        }
        Check.equal(400, all.size(), "messages");
    }

    private static void unknownTopic(World world) throws Exception {
        DefaultMQProducer producer = world.producer();
        try {
            producer.send(new Message(world.topicName(), bytes("nowhere to go")));
        } catch (Exception e) {
            Check.that(e.getMessage().startsWith("No route info of this topic"), "the client finds no route, saw " + e.getMessage());
            return;
        }
        throw new AssertionError("a send to an unknown topic succeeded, though topics are not created by sending");
    }

    /** The route keeps clients from writing; the broker itself does not look at the topic's permission. */
    private static void readOnlyTopic(World world) throws Exception {
        String topic = world.topic(world.topicName(), 2, 2, 4);
        DefaultMQProducer producer = world.producer();
        try {
            producer.send(new Message(topic, bytes("x")));
        } catch (Exception e) {
            Check.equal(SendStatus.SEND_OK, producer.send(new Message(topic, bytes("y")), world.queue(topic, 0)).getSendStatus(),
                "status of a send that names its queue");
            return;
        }
        throw new AssertionError("a send to a topic that may only be read succeeded");
    }
}
