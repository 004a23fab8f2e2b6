package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByConfig;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** What else a push consumer can do: its settings, dead letters, pauses, strategies, changes while it runs. */
final class ConsumerCases {

    private ConsumerCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("consumerDeadLetter", ConsumerCases::deadLetter),
            new Case("consumerOrderlyDeadLetter", ConsumerCases::orderlyDeadLetter),
            new Case("consumerSendBack", ConsumerCases::sendBack),
            new Case("consumerTimeout", ConsumerCases::timeout),
            new Case("consumerSuspend", ConsumerCases::suspend),
            new Case("consumerBatches", ConsumerCases::batches),
            new Case("consumerFlowControl", ConsumerCases::flowControl),
            new Case("consumerOrderlySuspend", ConsumerCases::orderlySuspend),
            new Case("consumerBroadcastingResumes", ConsumerCases::broadcastingResumes),
            new Case("consumerStrategies", ConsumerCases::strategies),
            new Case("consumerSelectors", ConsumerCases::selectors),
            new Case("consumerSubscriptionChanges", ConsumerCases::subscriptionChanges),
            new Case("consumerQuestions", ConsumerCases::questions),
            new Case("consumerPartlyAcknowledged", ConsumerCases::partlyAcknowledged));
    }

    /** A started consumer that takes all of a topic. */
    private static DefaultMQPushConsumer started(World world, String topic, MessageListenerConcurrently listener) throws Exception {
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        World.start(consumer, topic, "*", listener);
        return consumer;
    }

    /** Reads the group's dead letters until one is there. */
    @SuppressWarnings("deprecation")
    private static MessageExt awaitDeadLetter(World world, String group) throws Exception {
        MessageQueue queue = world.queue("%DLQ%" + group, 0);
        Check.eventually(World.DELIVERY_SECONDS, "a dead letter", () -> world.admin.maxOffset(queue) == 1);
        return world.read(world.puller(world.group() + "_dead"), queue, 0, 1).get(0);
    }

    private static void deadLetter(World world) throws Exception {
        String topic = world.topic(1);
        world.topic("%RETRY%" + world.group(), 1, 1, 6);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setMaxReconsumeTimes(2);
        World.start(consumer, topic, "*", (MessageListenerConcurrently) (messages, context) -> {
            inbox.all.addAll(messages);
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        Message sent = new Message(topic, "t", "k", bytes("poison"));
        sent.putUserProperty("colour", "green");
        String msgId = world.producer().send(sent).getMsgId();
        MessageExt dead = awaitDeadLetter(world, world.group());
        Check.equal(3, inbox.size(), "deliveries before");
        Check.equal("poison", text(dead), "body");
        Check.equal("t", dead.getTags(), "tags");
        Check.equal("k", dead.getKeys(), "keys");
        Check.equal("green", dead.getUserProperty("colour"), "user property");
        Check.equal(topic, dead.getProperty(MessageConst.PROPERTY_RETRY_TOPIC), "original topic");
        Check.equal(msgId, dead.getMsgId(), "msgId");
        Check.equal(3, dead.getReconsumeTimes(), "reconsumeTimes");
    }

    /** An orderly consumer gives a message up by a new send to its retry topic; the broker sees that it was tried often enough. */
    private static void orderlyDeadLetter(World world) throws Exception {
        String topic = world.topic(1);
        AtomicInteger tries = new AtomicInteger();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setMaxReconsumeTimes(2);
        consumer.setSuspendCurrentQueueTimeMillis(50);
        consumer.setConsumeMessageBatchMaxSize(1);
        World.start(consumer, topic, "*", (MessageListenerOrderly) (messages, context) -> {
            if (text(messages.get(0)).equals("poison")) {
                tries.incrementAndGet();
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            inbox.all.addAll(messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        world.send(world.producer(), world.queue(topic, 0), List.of("before", "poison", "after"));
        inbox.await(List.of("before", "after"), "the messages around it");
        Check.equal("poison", text(awaitDeadLetter(world, world.group())), "dead letter");
        Check.equal(3, tries.get(), "deliveries before");
    }

    private static void sendBack(World world) throws Exception {
        String topic = world.topic(1);
        world.topic("%RETRY%" + world.group(), 1, 1, 6);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(world, topic, inbox.listener());
        world.producer().send(new Message(topic, bytes("sent back")));
        Check.eventually(World.DELIVERY_SECONDS, "the message", () -> inbox.size() == 1);
        consumer.sendMessageBack(inbox.all.get(0), 1);
        Check.eventually(World.DELIVERY_SECONDS, "it comes again", () -> inbox.size() == 2);
        Check.equal(1, inbox.all.get(1).getReconsumeTimes(), "reconsumeTimes");
        consumer.sendMessageBack(inbox.all.get(1), -1); // no more: to the dead letters
        Check.equal("sent back", text(awaitDeadLetter(world, world.group())), "dead letter");
    }

    /** A message that is consumed for longer than consumeTimeout minutes is sent back by the client, and comes again. */
    private static void timeout(World world) throws Exception {
        String topic = world.topic(1);
        world.topic("%RETRY%" + world.group(), 1, 1, 6);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setConsumeTimeout(1);
        World.start(consumer, topic, "*", (MessageListenerConcurrently) (messages, context) -> {
            boolean first = messages.get(0).getReconsumeTimes() == 0;
            inbox.all.addAll(messages);
            // as if it had been given out long ago: the client looks once a minute
            if (first) MessageAccessor.setConsumeStartTimeStamp(messages.get(0), String.valueOf(System.currentTimeMillis() - 120_000));
            if (first) sleep(100_000);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        world.producer().send(new Message(topic, bytes("stuck")));
        Check.eventually(120, "it comes again while the first one is still at it", () -> inbox.size() == 2);
        Check.equal(1, inbox.all.get(1).getReconsumeTimes(), "reconsumeTimes");
    }

    private static void sleep(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void suspend(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(world, topic, inbox.listener());
        world.send(producer, world.queue(topic, 0), List.of("before"));
        inbox.await(List.of("before"), "the message before");
        consumer.suspend();
        world.send(producer, world.queue(topic, 0), List.of("wakes the pull under way"));
        Thread.sleep(2_000); // that pull may still be handed out
        int seen = inbox.size();
        world.send(producer, world.queue(topic, 0), numbered("while", 5));
        Thread.sleep(1_500);
        Check.equal(seen, inbox.size(), "messages of a consumer that is suspended");
        consumer.resume();
        Check.eventually(World.DELIVERY_SECONDS, "what was sent meanwhile", () -> inbox.hasAll(numbered("while", 5)));
    }

    private static void batches(World world) throws Exception {
        String topic = world.topic(1);
        world.send(world.producer(), world.queue(topic, 0), numbered("m", 100));
        Set<Integer> sizes = ConcurrentHashMap.newKeySet();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setPullBatchSize(10);
        consumer.setConsumeMessageBatchMaxSize(7);
        consumer.setPullInterval(10);
        World.start(consumer, topic, "*", (MessageListenerConcurrently) (messages, context) -> {
            sizes.add(messages.size());
            inbox.all.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        Check.eventually(World.DELIVERY_SECONDS, "the first ones", () -> inbox.size() > 0);
        consumer.setPullBatchSize(32);
        consumer.updateCorePoolSize(2);
        inbox.await(numbered("m", 100), "all messages");
        Check.equal(100, inbox.size(), "deliveries");
        Check.that(sizes.stream().allMatch(n -> n <= 7) && sizes.contains(7), "batches of at most 7, saw " + sizes);
    }

    /** The client holds no more than it may, however much there is; nothing is lost by that. */
    private static void flowControl(World world) throws Exception {
        String topic = world.topic(1);
        world.send(world.producer(), world.queue(topic, 0), numbered("m", 60));
        AtomicInteger most = new AtomicInteger();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setPullThresholdForQueue(5);
        consumer.setPullThresholdSizeForQueue(1);
        consumer.setConsumeConcurrentlyMaxSpan(8);
        consumer.setPullBatchSize(4);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        World.start(consumer, topic, "*", (MessageListenerConcurrently) (messages, context) -> {
            consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().values()
                .forEach(queue -> most.accumulateAndGet((int) queue.getMsgCount().get(), Math::max));
            sleep(20);
            inbox.all.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        inbox.await(numbered("m", 60), "all messages");
        Check.that(most.get() <= 9, "no more than 5 and one pull of 4 are held, saw " + most.get());
    }

    private static void orderlySuspend(World world) throws Exception {
        String topic = world.topic(2);
        List<String> seen = new ArrayList<>();
        long[] failedAt = {0, 0};
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setSuspendCurrentQueueTimeMillis(1_000);
        consumer.setConsumeMessageBatchMaxSize(1);
        World.start(consumer, topic, "*", (MessageListenerOrderly) (messages, context) -> {
            String text = text(messages.get(0));
            synchronized (seen) {
                if (text.equals("0:3") && failedAt[0] == 0) {
                    failedAt[0] = System.nanoTime();
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
                if (text.equals("0:3")) failedAt[1] = System.nanoTime();
                seen.add(text);
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        DefaultMQProducer producer = world.producer();
        for (int queueId = 0; queueId < 2; queueId++) world.send(producer, world.queue(topic, queueId), numbered(queueId + ":", 10));
        Check.eventually(World.DELIVERY_SECONDS, "all of both queues", () -> {
            synchronized (seen) {
                return seen.size() >= 20;
            }
        });
        for (int queueId = 0; queueId < 2; queueId++) {
            String prefix = queueId + ":";
            Check.equal(numbered(prefix, 10), seen.stream().filter(t -> t.startsWith(prefix)).distinct().collect(Collectors.toList()),
                "order of queue " + queueId);
        }
        Check.that(failedAt[1] - failedAt[0] >= 900_000_000L, "the queue waits for a second");
    }

    /** A broadcasting consumer keeps its offsets beside itself: started again under its name it goes on there. */
    private static void broadcastingResumes(World world) throws Exception {
        String topic = world.topic(2);
        String instance = world.instance();
        DefaultMQProducer producer = world.producer();
        List<Inbox> inboxes = List.of(new Inbox(), new Inbox());
        for (int life = 0; life < 2; life++) {
            for (String body : numbered(life + ":", 10)) producer.send(new Message(topic, bytes(body)));
            DefaultMQPushConsumer consumer = world.pusher(world.group());
            consumer.setInstanceName(instance);
            consumer.setMessageModel(MessageModel.BROADCASTING);
            World.start(consumer, topic, "*", inboxes.get(life).listener());
            inboxes.get(life).await(numbered(life + ":", 10), "messages of life " + life);
            Thread.sleep(500);
            consumer.shutdown();
        }
        Check.equal(10, inboxes.get(1).size(), "deliveries of the second life");
    }

    private static void strategies(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        // By circle two members get every other queue each; by consistent hash all queues have somebody.
        shared(world, topic, producer, "_circle", AllocateMessageQueueAveragelyByCircle::new, List.of(Set.of(0, 2), Set.of(1, 3)));
        shared(world, topic, producer, "_hash", AllocateMessageQueueConsistentHash::new, null);
        AllocateMessageQueueByConfig byConfig = new AllocateMessageQueueByConfig();
        byConfig.setMessageQueueList(List.of(world.queue(topic, 1), world.queue(topic, 2)));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group() + "_config");
        consumer.setAllocateMessageQueueStrategy(byConfig);
        World.start(consumer, topic, "config", inbox.listener());
        Check.eventually(World.DELIVERY_SECONDS, "queues 1 and 2 and no others", () -> {
            for (int queueId = 0; queueId < 4; queueId++) producer.send(new Message(topic, "config", bytes("c")), world.queue(topic, queueId));
            Thread.sleep(200);
            return inbox.queueIds().equals(Set.of(1, 2));
        });
    }

    private interface Strategy {
        AllocateMessageQueueStrategy make();
    }

    /** Two members with a strategy: waits until each queue has one of them, and the shares are these in any order. */
    private static void shared(World world, String topic, DefaultMQProducer producer, String suffix, Strategy strategy,
        List<Set<Integer>> shares) throws Exception {
        List<Inbox> inboxes = List.of(new Inbox(), new Inbox());
        for (Inbox inbox : inboxes) {
            DefaultMQPushConsumer consumer = world.pusher(world.group() + suffix);
            consumer.setAllocateMessageQueueStrategy(strategy.make());
            World.start(consumer, topic, suffix, inbox.listener());
        }
        Check.eventually(World.DELIVERY_SECONDS, "queues shared by the strategy " + suffix, () -> {
            inboxes.forEach(inbox -> inbox.all.clear());
            for (int queueId = 0; queueId < 4; queueId++) producer.send(new Message(topic, suffix, bytes("s")), world.queue(topic, queueId));
            for (int wait = 0; wait < 40 && inboxes.get(0).size() + inboxes.get(1).size() < 4; wait++) Thread.sleep(50);
            Set<Set<Integer>> seen = Set.copyOf(inboxes.stream().map(Inbox::queueIds).collect(Collectors.toSet()));
            Set<Integer> all = new TreeSet<>(inboxes.get(0).queueIds());
            all.addAll(inboxes.get(1).queueIds());
            boolean disjoint = inboxes.get(0).queueIds().size() + inboxes.get(1).queueIds().size() == all.size();
            return all.size() == 4 && disjoint && (shares == null || seen.equals(Set.copyOf(shares)));
        });
    }

    private static void selectors(World world) throws Exception {
        String topic = world.topic(1);
        Inbox byTag = new Inbox();
        Inbox all = new Inbox();
        DefaultMQPushConsumer one = world.pusher(world.group() + "_tag");
        one.subscribe(topic, MessageSelector.byTag("a || c"));
        one.registerMessageListener(byTag.listener());
        one.start();
        DefaultMQPushConsumer two = world.pusher(world.group() + "_all");
        two.subscribe(topic, MessageSelector.byTag(null));
        two.registerMessageListener(all.listener());
        two.start();
        DefaultMQProducer producer = world.producer();
        for (String tag : List.of("a", "b", "c")) producer.send(new Message(topic, tag, bytes(tag)));
        producer.send(new Message(topic, bytes("none")));
        all.await(List.of("a", "b", "c", "none"), "all messages");
        byTag.await(List.of("a", "c"), "messages of two tags");
    }

    /** Tags and topics that change while a consumer runs. */
    private static void subscriptionChanges(World world) throws Exception {
        String topic = world.topic(1);
        String other = world.topic(world.topicName() + "_other", 1, 1, 6);
        DefaultMQProducer producer = world.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        World.start(consumer, topic, "a", inbox.listener());
        producer.send(new Message(topic, "a", bytes("a1")));
        producer.send(new Message(topic, "b", bytes("b1")));
        inbox.await(List.of("a1"), "tag a");
        consumer.subscribe(topic, "b");
        consumer.subscribe(other, "*");
        // the broker learns of it by a heartbeat; what came before may or may not be taken
        Check.eventually(World.DELIVERY_SECONDS, "tag b at the broker", () -> world.admin.examineConsumerConnectionInfo(world.group())
            .getSubscriptionTable().get(topic).getTagsSet().equals(Set.of("b")));
        producer.send(new Message(topic, "a", bytes("a2")));
        producer.send(new Message(topic, "b", bytes("b2")));
        producer.send(new Message(other, bytes("other")));
        Check.eventually(World.DELIVERY_SECONDS, "tag b and the other topic", () -> inbox.hasAll(List.of("b2", "other")));
        Check.that(!inbox.texts().contains("a2"), "tag a is no longer taken");
        consumer.unsubscribe(other);
        Check.eventually(World.DELIVERY_SECONDS, "the broker knows that the other topic is gone", () -> !world.admin
            .examineConsumerConnectionInfo(world.group()).getSubscriptionTable().containsKey(other));
    }

    private static void questions(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(world, topic, inbox.listener());
        String msgId = world.producer().send(new Message(topic, "t", "question-key", bytes("m"))).getOffsetMsgId();
        inbox.await(List.of("m"), "the message");
        Check.equal(1L, consumer.maxOffset(queue), "maxOffset");
        Check.equal(0L, consumer.minOffset(queue), "minOffset");
        Check.equal(0L, consumer.searchOffset(queue, 1_000), "offset of a time before all");
        Check.equal(Set.of(queue), consumer.fetchSubscribeMessageQueues(topic), "queues");
        Check.equal("m", text(consumer.viewMessage(topic, msgId)), "message by its id");
        Check.eventually(15, "the key finds it", () -> consumer.queryMessage(topic, "question-key", 4, 0, Long.MAX_VALUE).getMessageList().size() == 1);
    }

    /** ackIndex: the first messages of a batch are done, the others come again. */
    private static void partlyAcknowledged(World world) throws Exception {
        String topic = world.topic(1);
        world.topic("%RETRY%" + world.group(), 1, 1, 6);
        world.send(world.producer(), world.queue(topic, 0), numbered("m", 6));
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.setConsumeMessageBatchMaxSize(6);
        World.start(consumer, topic, "*", (MessageListenerConcurrently) (messages, context) -> {
            inbox.all.addAll(messages);
            context.setDelayLevelWhenNextConsume(1);
            if (messages.get(0).getReconsumeTimes() == 0) context.setAckIndex(1);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        Check.eventually(World.DELIVERY_SECONDS, "four messages again", () -> inbox.size() >= 10);
        Set<String> again = new TreeSet<>();
        for (MessageExt got : inbox.all) if (got.getReconsumeTimes() == 1) again.add(text(got));
        Check.equal(new TreeSet<>(List.of("m2", "m3", "m4", "m5")), again, "messages that came again");
    }
}
