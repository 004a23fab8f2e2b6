package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageQueueListener;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.compression.CompressorFactory;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What producers and consumers of 5.x have besides: compression types, batches made by themselves, back-pressure, namespaces. */
final class Producer5Cases {

    private Producer5Cases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("producerCompression", Producer5Cases::compression),
            new Case("producerAutoBatch", Producer5Cases::autoBatch),
            new Case("producerBackPressure", Producer5Cases::backPressure),
            new Case("producerLatencyFault", Producer5Cases::latencyFault),
            new Case("producerCreateTopic", Producer5Cases::createTopic),
            new Case("producerNamespaceV2", Producer5Cases::namespaceV2),
            new Case("consumerQueueListener", Producer5Cases::queueListener));
    }

    private static void compression(World world) throws Exception {
        String topic = world.topic(1);
        byte[] body = bytes("the same again and again. ".repeat(2_000));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        World.start(consumer, topic, "*", inbox.listener());
        for (CompressionType type : CompressionType.values()) {
            DefaultMQProducer producer = world.producerWith(p -> p.setCompressType(type));
            producer.send(new Message(topic, type.name(), body));
        }
        Check.eventually(World.DELIVERY_SECONDS, "one message of each type", () -> inbox.size() == CompressionType.values().length);
        Set<String> seen = new TreeSet<>();
        for (MessageExt got : inbox.all) {
            seen.add(got.getTags());
            Check.that(Arrays.equals(body, got.getBody()), "the body is as before its compression with " + got.getTags());
            Check.that(got.getStoreSize() < body.length / 5, "it is stored compressed with " + got.getTags());
        }
        Check.equal(new TreeSet<>(List.of("LZ4", "ZLIB", "ZSTD")), seen, "types");
        Check.that(CompressorFactory.getCompressor(CompressionType.LZ4) != null, "the client has all of them");
    }

    /** Sends gathered to batches by the producer: each sender is told of its own message. */
    private static void autoBatch(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producerWith(p -> {
            p.setAutoBatch(true);
            p.batchMaxDelayMs(20);
        });
        List<Thread> threads = new ArrayList<>();
        Set<String> places = ConcurrentHashMap.newKeySet();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (String name : numbered("thread", 8)) {
            threads.add(new Thread(() -> {
                try {
                    for (String body : numbered(name + ":", 10)) {
                        SendResult result = producer.send(new Message(topic, bytes(body)));
                        places.add(result.getMessageQueue().getQueueId() + "/" + result.getQueueOffset());
                    }
                } catch (Throwable e) {
                    failure.set(e);
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        if (failure.get() != null) throw new AssertionError("a send failed", failure.get());
        Check.equal(80, places.size(), "places that senders were told");
        long stored = producer.maxOffset(world.queue(topic, 0)) + producer.maxOffset(world.queue(topic, 1));
        Check.eventually(15, "80 messages", () ->
            producer.maxOffset(world.queue(topic, 0)) + producer.maxOffset(world.queue(topic, 1)) == 80);
        Check.that(stored <= 80, "no more than that");
    }

    private static void backPressure(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producerWith(p -> {
            p.setEnableBackpressureForAsyncMode(true);
            p.setBackPressureForAsyncSendNum(16);
            p.setBackPressureForAsyncSendSize(1024 * 1024);
        });
        CountDownLatch answers = new CountDownLatch(300);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (String body : numbered("a", 300)) {
            producer.send(new Message(topic, bytes(body)), new SendCallback() {
                @Override public void onSuccess(SendResult result) {
                    answers.countDown();
                }

                @Override public void onException(Throwable e) {
                    failure.set(e);
                    answers.countDown();
                }
            });
        }
        Check.that(answers.await(60, TimeUnit.SECONDS), "every callback is called");
        if (failure.get() != null) throw new AssertionError("a send failed", failure.get());
        Check.eventually(15, "300 messages", () -> producer.maxOffset(world.queue(topic, 0)) == 300);
    }

    private static void latencyFault(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producerWith(p -> {
            p.setSendLatencyFaultEnable(true);
            p.setStartDetectorEnable(true);
        });
        Set<Integer> queueIds = new TreeSet<>();
        for (int i = 0; i < 20; i++) queueIds.add(producer.send(new Message(topic, bytes("m"))).getMessageQueue().getQueueId());
        Check.equal(Set.of(0, 1), queueIds, "queues");
    }

    private static void createTopic(World world) throws Exception {
        String model = world.topic(2);
        String topic = model + "_new";
        DefaultMQProducer producer = world.producer();
        producer.createTopic(model, topic, 3, Map.of());
        Check.eventually(20, "a route with three queues", () -> world.admin.examineTopicRouteInfo(topic).getQueueDatas().get(0).getWriteQueueNums() == 3);
        producer.send(new Message(topic, bytes("first")));
    }

    private static void namespaceV2(World world) throws Exception {
        String space = "space2";
        world.topic(space + "%" + world.topicName(), 1, 1, 6);
        DefaultMQProducer producer = world.producerWith(p -> p.setNamespaceV2(space));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(space + "%" + world.group());
        World.start(consumer, space + "%" + world.topicName(), "*", inbox.listener());
        // this namespace is for proxies: a broker takes the name as it is
        producer.send(new Message(space + "%" + world.topicName(), bytes("inside")));
        inbox.await(List.of("inside"), "the message");
    }

    private static void queueListener(World world) throws Exception {
        String topic = world.topic(4);
        List<Integer> shares = java.util.Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(new Inbox().listener());
        consumer.setMessageQueueListener(new MessageQueueListener() {
            @Override public void messageQueueChanged(String name, Set<MessageQueue> all, Set<MessageQueue> divided) {
                if (name.equals(topic)) shares.add(divided.size());
            }
        });
        consumer.start();
        Check.eventually(World.DELIVERY_SECONDS, "all queues", () -> shares.contains(4));
        DefaultMQPushConsumer second = world.pusher(world.group());
        World.start(second, topic, "*", new Inbox().listener());
        Check.eventually(World.DELIVERY_SECONDS, "half of them once another one joined", () -> shares.get(shares.size() - 1) == 2);
    }
}
