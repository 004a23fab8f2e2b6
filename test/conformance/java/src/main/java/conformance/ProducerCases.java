package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What else a producer can do: each form of a send, questions to the broker, requests with answers, trace. */
final class ProducerCases {

    private ProducerCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("producerForms", ProducerCases::forms),
            new Case("producerAsyncBatch", ProducerCases::asyncBatch),
            new Case("producerVipChannel", ProducerCases::vipChannel),
            new Case("producerDelayLevels", ProducerCases::delayLevels),
            new Case("producerQuestions", ProducerCases::questions),
            new Case("producerNamespace", ProducerCases::namespace),
            new Case("producerUnitMode", ProducerCases::unitMode),
            new Case("producerRequest", ProducerCases::request),
            new Case("producerRequestTimeout", ProducerCases::requestTimeout),
            new Case("producerTrace", ProducerCases::trace),
            new Case("producerRestart", ProducerCases::restart));
    }

    /** Counts answers; the first failure is kept. */
    private static final class Answers implements SendCallback {
        final CountDownLatch missing;
        final AtomicReference<Throwable> failure = new AtomicReference<>();

        Answers(int count) {
            missing = new CountDownLatch(count);
        }

        @Override public void onSuccess(SendResult result) {
            if (result.getSendStatus() != SendStatus.SEND_OK) failure.set(new AssertionError("status " + result.getSendStatus()));
            missing.countDown();
        }

        @Override public void onException(Throwable e) {
            failure.set(e);
            missing.countDown();
        }

        void await() throws InterruptedException {
            Check.that(missing.await(30, TimeUnit.SECONDS), "every callback is called");
            if (failure.get() != null) throw new AssertionError("a send failed", failure.get());
        }
    }

    private static void forms(World world) throws Exception {
        String topic = world.topic(2);
        MessageQueue queue = world.queue(topic, 1);
        DefaultMQProducer producer = world.producer();
        Answers answers = new Answers(4);
        producer.send(new Message(topic, bytes("timeout")), queue, 5_000);
        producer.send(new Message(topic, bytes("selected")), (queues, message, id) -> queues.get((int) id), 1, 5_000);
        producer.send(new Message(topic, bytes("async")), queue, answers);
        producer.send(new Message(topic, bytes("async timeout")), queue, answers, 5_000);
        producer.send(new Message(topic, bytes("async selected")), (queues, message, id) -> queues.get((int) id), 1, answers);
        producer.send(new Message(topic, bytes("async selected timeout")), (queues, message, id) -> queues.get((int) id), 1, answers, 5_000);
        producer.sendOneway(new Message(topic, bytes("oneway")), queue);
        producer.sendOneway(new Message(topic, bytes("oneway selected")), (queues, message, id) -> queues.get((int) id), 1);
        answers.await();
        List<String> seen = new ArrayList<>();
        for (MessageExt got : world.read(world.puller(world.group()), queue, 0, 8)) seen.add(text(got));
        seen.sort(null);
        Check.equal(List.of("async", "async selected", "async selected timeout", "async timeout", "oneway", "oneway selected", "selected",
            "timeout"), seen, "messages of queue 1");
        Check.equal(0L, producer.maxOffset(world.queue(topic, 0)), "maxOffset of the other queue");
    }

    private static void asyncBatch(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        Answers answers = new Answers(2);
        List<Message> first = new ArrayList<>();
        for (String body : numbered("a", 10)) first.add(new Message(topic, bytes(body)));
        producer.send(first, answers);
        List<Message> second = new ArrayList<>();
        for (String body : numbered("b", 10)) second.add(new Message(topic, bytes(body)));
        producer.send(second, world.queue(topic, 0), answers, 5_000);
        answers.await();
        Check.equal(20, world.read(world.puller(world.group()), world.queue(topic, 0), 0, 20).size(), "messages of both batches");
    }

    /** All but pulls go by the second port, two below the first. */
    private static void vipChannel(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producerWith(p -> p.setVipChannelEnabled(true));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setVipChannelEnabled(true);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.listener());
        consumer.start();
        for (String body : numbered("vip", 10)) producer.send(new Message(topic, bytes(body)));
        List<Message> batch = new ArrayList<>();
        for (String body : numbered("batch", 3)) batch.add(new Message(topic, bytes(body)));
        producer.send(batch);
        List<String> expected = numbered("vip", 10);
        expected.addAll(numbered("batch", 3));
        inbox.await(expected, "messages by the second port");
        consumer.shutdown();
        Check.eventually(15, "offsets kept by the second port", () -> world.admin.examineConsumeStats(world.group(), topic).computeTotalDiff() == 0);
    }

    private static void delayLevels(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.listener());
        consumer.start();
        long sentAt = System.currentTimeMillis();
        for (int level : new int[] {3, 2, 1}) {
            Message message = new Message(topic, "t" + level, "k" + level, bytes("level " + level));
            message.setDelayTimeLevel(level);
            Check.equal(SendStatus.SEND_OK, producer.send(message).getSendStatus(), "status");
        }
        Check.eventually(World.DELIVERY_SECONDS, "three messages", () -> inbox.size() >= 3);
        // A consumer that came late has all of them at once, and consumes them in any order.
        List<MessageExt> stored = inbox.all.stream().sorted(Comparator.comparingLong(MessageExt::getQueueOffset)).collect(Collectors.toList());
        long[] delays = {1_000, 5_000, 10_000};
        for (int i = 0; i < 3; i++) {
            MessageExt got = stored.get(i);
            Check.equal("level " + (i + 1), text(got), "messages in the order of their delays");
            long waited = got.getStoreTimestamp() - sentAt;
            Check.that(waited >= delays[i] - 100, "level " + (i + 1) + " waits " + delays[i] + " ms, saw " + waited);
            Check.equal(topic, got.getTopic(), "topic");
            Check.equal("t" + (i + 1), got.getTags(), "tags");
            Check.equal("k" + (i + 1), got.getKeys(), "keys");
            Check.equal(0, got.getReconsumeTimes(), "reconsumeTimes");
        }
    }

    private static void questions(World world) throws Exception {
        String topic = world.topic(2);
        MessageQueue queue = world.queue(topic, 1);
        DefaultMQProducer producer = world.producer();
        long before = System.currentTimeMillis();
        SendResult sent = producer.send(new Message(topic, "t", "the-key", bytes("one")), queue);
        producer.send(new Message(topic, bytes("two")), queue);
        Check.eventually(15, "maxOffset 2", () -> producer.maxOffset(queue) == 2);
        Check.equal(0L, producer.minOffset(queue), "minOffset");
        Check.equal(0L, producer.searchOffset(queue, before - 1_000), "offset of a time before");
        Check.equal(2L, producer.searchOffset(queue, before + 3_600_000), "offset of a time after");
        Check.that(producer.earliestMsgStoreTime(queue) <= System.currentTimeMillis(), "earliest store time");
        Check.equal(2, producer.fetchPublishMessageQueues(topic).size(), "queues");
        Check.eventually(15, "the key finds it", () ->
            text(producer.queryMessage(topic, "the-key", 8, 0, Long.MAX_VALUE).getMessageList().get(0)).equals("one"));
        Check.equal("one", text(producer.viewMessage(topic, sent.getOffsetMsgId())), "message by its place");
        Check.equal("one", text(producer.viewMessage(topic, sent.getMsgId())), "message by its unique key");
    }

    /** A namespace is a prefix that clients put before names and take from what they hand out. */
    @SuppressWarnings("deprecation")
    private static void namespace(World world) throws Exception {
        String space = "space";
        world.topic(space + "%" + world.topicName(), 2, 2, 6);
        world.topic("%RETRY%" + space + "%" + world.group(), 1, 1, 6);
        DefaultMQProducer producer = world.producerWith(p -> p.setNamespace(space));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setNamespace(space);
        consumer.subscribe(world.topicName(), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.all.addAll(messages);
            context.setDelayLevelWhenNextConsume(1);
            return messages.get(0).getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        SendResult result = producer.send(new Message(world.topicName(), bytes("inside")));
        Check.equal(world.topicName(), result.getMessageQueue().getTopic(), "topic of the result");
        Check.eventually(World.DELIVERY_SECONDS, "the message and its retry", () -> inbox.size() == 2);
        for (MessageExt got : inbox.all) Check.equal(world.topicName(), got.getTopic(), "topic that the listener sees");
        Check.that(world.admin.examineConsumerConnectionInfo(space + "%" + world.group()).getSubscriptionTable().containsKey(
            space + "%" + world.topicName()), "the broker knows the full names");
    }

    private static void unitMode(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producerWith(p -> {
            p.setUnitMode(true);
            p.setUnitName("unit-a");
        });
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setUnitMode(true);
        consumer.setUnitName("unit-a");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.listener());
        consumer.start();
        producer.send(new Message(topic, bytes("in a unit")));
        inbox.await(List.of("in a unit"), "message of a unit");
        String clientId = world.admin.examineConsumerConnectionInfo(world.group()).getConnectionSet().iterator().next().getClientId();
        Check.that(clientId.endsWith("@unit-a"), "the clientId names the unit, saw " + clientId);
        Check.eventually(15, "retry topic with the flag of subscribers in units", () -> world.admin.getAllTopicConfig(world.brokerAddr, 10_000)
            .getTopicConfigTable().get("%RETRY%" + world.group()).getTopicSysFlag() == 2);
    }

    /** A consumer that answers each message that asks for it, by a producer of its own. */
    private static void answering(World world, String topic, String group) throws Exception {
        DefaultMQProducer answering = world.producer();
        DefaultMQPushConsumer consumer = world.pusher(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    answering.send(MessageUtil.createReplyMessage(message, bytes("answer to " + text(message))), 5_000);
                } catch (Exception e) {
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        world.awaitMember(group);
    }

    private static void request(World world) throws Exception {
        String topic = world.topic(1);
        answering(world, topic, world.group());
        DefaultMQProducer producer = world.producer();
        // its consumer may need its time to get going
        Check.eventually(World.DELIVERY_SECONDS, "an answer", () ->
            text(producer.request(new Message(topic, bytes("first")), 5_000)).equals("answer to first"));
        Check.equal("answer to queue", text(producer.request(new Message(topic, bytes("queue")), world.queue(topic, 0), 10_000)), "answer");
        Check.equal("answer to selector", text(producer.request(new Message(topic, bytes("selector")),
            (queues, message, id) -> queues.get(0), 0, 10_000)), "answer");
        CountDownLatch done = new CountDownLatch(1);
        AtomicReference<String> answer = new AtomicReference<>();
        producer.request(new Message(topic, bytes("callback")), new RequestCallback() {
            @Override public void onSuccess(Message message) {
                answer.set(text(message));
                done.countDown();
            }

            @Override public void onException(Throwable e) {
                answer.set(e.toString());
                done.countDown();
            }
        }, 10_000);
        Check.that(done.await(20, TimeUnit.SECONDS), "the callback is called");
        Check.equal("answer to callback", answer.get(), "answer");
    }

    private static void requestTimeout(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        try {
            producer.request(new Message(topic, bytes("anybody?")), 2_000);
        } catch (RequestTimeoutException e) {
            return;
        }
        throw new AssertionError("a request that nobody answers did not time out");
    }

    /** Records of a send and of its consumption arrive in the trace topic, under the message's id. */
    private static void trace(World world) throws Exception {
        String topic = world.topic(1);
        String traceTopic = world.topic(world.topicName() + "_trace", 1, 1, 6);
        DefaultMQProducer producer = world.tracedProducer(traceTopic);
        DefaultMQPushConsumer consumer = world.tracedPusher(world.group(), traceTopic);
        Inbox inbox = new Inbox();
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox.listener());
        consumer.start();
        SendResult sent = producer.send(new Message(topic, "t", "traced-key", bytes("traced")));
        inbox.await(List.of("traced"), "the message");
        Inbox records = new Inbox();
        DefaultMQPushConsumer reader = world.pusher(world.group() + "_trace");
        reader.subscribe(traceTopic, "*");
        reader.registerMessageListener(records.listener());
        reader.start();
        for (String kind : List.of("Pub", "SubBefore", "SubAfter")) {
            Check.eventually(World.DELIVERY_SECONDS, "a record " + kind + " of the message", () -> records.texts().stream().anyMatch(
                t -> t.startsWith(kind + "\u0001") && t.contains(sent.getMsgId()) || t.contains("\u0002" + kind + "\u0001") && t.contains(sent.getMsgId())));
        }
        Check.eventually(15, "the message's id finds its records", () ->
            world.admin.queryMessage(traceTopic, sent.getMsgId(), 32, 0, Long.MAX_VALUE).getMessageList().size() >= 2);
    }

    /** The same group and instance again, as after a deployment. */
    private static void restart(World world) throws Exception {
        String topic = world.topic(1);
        for (int i = 0; i < 3; i++) {
            DefaultMQProducer producer = new DefaultMQProducer("P_" + world.caseName);
            producer.setNamesrvAddr(world.namesrv);
            producer.setInstanceName(world.caseName + "-same");
            producer.start();
            try {
                Check.equal((long) i, producer.send(new Message(topic, bytes("m" + i))).getQueueOffset(), "queueOffset");
            } finally {
                producer.shutdown();
            }
        }
    }
}
