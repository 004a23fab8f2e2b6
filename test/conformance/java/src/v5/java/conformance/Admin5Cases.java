package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.body.CMResult;
import org.apache.rocketmq.remoting.protocol.body.ConsumeMessageDirectlyResult;
import org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo;
import org.apache.rocketmq.remoting.protocol.body.QueryConsumeQueueResponseBody;
import org.apache.rocketmq.remoting.protocol.body.QueueTimeSpan;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.api.TrackType;

/** What an operator asks of consumers and their offsets, with the 5.x admin client. */
final class Admin5Cases {

    private Admin5Cases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("adminResetOffset", Admin5Cases::resetOffset),
            new Case("adminRunningInfo", Admin5Cases::runningInfo),
            new Case("adminConsumeDirectly", Admin5Cases::consumeDirectly),
            new Case("adminConsumerStatus", Admin5Cases::consumerStatus),
            new Case("adminGroupQuestions", Admin5Cases::groupQuestions),
            new Case("adminCloneOffset", Admin5Cases::cloneOffset),
            new Case("adminLists", Admin5Cases::lists),
            new Case("adminTimeBoundaries", Admin5Cases::timeBoundaries),
            new Case("adminMessageTrack", Admin5Cases::messageTrack),
            new Case("adminConsumeQueue", Admin5Cases::consumeQueue),
            new Case("adminHaStatus", Admin5Cases::haStatus),
            new Case("adminGroupNames", Admin5Cases::groupNames),
            new Case("adminNamesrvConfig", Admin5Cases::namesrvConfig));
    }

    private static DefaultMQPushConsumer started(World world, String topic, Inbox inbox) throws Exception {
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        World.start(consumer, topic, "*", inbox.listener());
        world.awaitMember(world.group());
        return consumer;
    }

    private static String clientId(World world) throws Exception {
        return world.admin.examineConsumerConnectionInfo(world.group(), world.brokerAddr).getConnectionSet().iterator().next().getClientId();
    }

    /** A consumer that is online goes back, by time and by queue. */
    private static void resetOffset(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQProducer producer = world.producer();
        Inbox inbox = new Inbox();
        started(world, topic, inbox);
        world.send(producer, queue, numbered("m", 5));
        inbox.await(numbered("m", 5), "five messages");
        Check.eventually(30, "consumerOffset 5", () -> world.admin.examineConsumeStats(world.group(), topic).getOffsetTable()
            .get(queue).getConsumerOffset() == 5);
        Map<MessageQueue, Long> table = world.admin.resetOffsetByTimestamp(topic, world.group(), 1_000, true);
        Check.equal(Map.of(queue, 0L), table, "offsets after the reset");
        world.send(producer, queue, List.of("wake")); // ends the pull that is held
        Check.eventually(World.DELIVERY_SECONDS, "all five again", () -> inbox.all.stream().filter(m -> World.text(m).equals("m0")).count() == 2);
        Check.eventually(30, "consumerOffset 6", () -> world.admin.examineConsumeStats(world.group(), topic).getOffsetTable()
            .get(queue).getConsumerOffset() == 6);
        world.admin.resetOffsetByQueueId(world.brokerAddr, world.group(), topic, 0, 4);
        world.send(producer, queue, List.of("wake again"));
        Check.eventually(World.DELIVERY_SECONDS, "the fifth a third time", () -> inbox.all.stream().filter(m -> World.text(m).equals("m4")).count() == 3);
        Check.equal(2L, inbox.all.stream().filter(m -> World.text(m).equals("m3")).count(), "deliveries of the fourth");
        Check.refused(ResponseCode.TOPIC_NOT_EXIST, () -> world.admin.resetOffsetByTimestamp("T_never_created", world.group(), 1_000, true));
    }

    private static void runningInfo(World world) throws Exception {
        String topic = world.topic(2);
        Inbox inbox = new Inbox();
        started(world, topic, inbox);
        world.producer().send(new Message(topic, bytes("m")));
        inbox.await(List.of("m"), "the message");
        ConsumerRunningInfo info = world.admin.getConsumerRunningInfo(world.group(), clientId(world), true);
        Check.equal(2L, info.getMqTable().keySet().stream().filter(q -> q.getTopic().equals(topic)).count(), "queues that it consumes");
        Check.that(info.getSubscriptionSet().stream().anyMatch(s -> s.getTopic().equals(topic)), "its subscription");
        Check.that(info.getJstack().contains("ConsumeMessageThread"), "its threads");
        Check.equal("CONSUME_PASSIVELY", info.getProperties().getProperty("PROP_CONSUME_TYPE"), "its type");
    }

    private static void consumeDirectly(World world) throws Exception {
        String topic = world.topic(1);
        Inbox inbox = new Inbox();
        started(world, topic, inbox);
        SendResult sent = world.producer().send(new Message(topic, bytes("m")));
        inbox.await(List.of("m"), "the message");
        ConsumeMessageDirectlyResult result = world.admin.consumeMessageDirectly(world.group(), clientId(world), topic, sent.getOffsetMsgId());
        Check.equal(CMResult.CR_SUCCESS, result.getConsumeResult(), "result");
        Check.equal(2, inbox.size(), "deliveries");
    }

    private static void consumerStatus(World world) throws Exception {
        String topic = world.topic(2);
        Inbox inbox = new Inbox();
        started(world, topic, inbox);
        world.send(world.producer(), world.queue(topic, 1), numbered("m", 3));
        inbox.await(numbered("m", 3), "three messages");
        String clientId = clientId(world);
        Check.eventually(World.DELIVERY_SECONDS, "where the client is in queue 1", () -> {
            Map<String, Map<MessageQueue, Long>> status = world.admin.getConsumeStatus(topic, world.group(), clientId);
            return Long.valueOf(3).equals(status.get(clientId).get(world.queue(topic, 1)));
        });
    }

    private static void groupQuestions(World world) throws Exception {
        String topic = world.topic(1);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(world, topic, inbox);
        DefaultMQProducer producer = world.producer();
        world.send(producer, world.queue(topic, 0), numbered("m", 4));
        inbox.await(numbered("m", 4), "four messages");
        Check.equal("*", world.admin.querySubscription(world.group(), topic).getSubString(), "subscription");
        Check.eventually(World.DELIVERY_SECONDS, "the producer is known", () ->
            world.admin.getAllProducerInfo(world.brokerAddr).getData().containsKey("P_" + world.caseName));
        consumer.shutdown();
        Check.eventually(15, "topics of the group", () -> world.admin.queryTopicsByConsumer(world.group()).getTopicList().contains(topic));
        world.send(producer, world.queue(topic, 0), List.of("late"));
        QueueTimeSpan span = world.admin.queryConsumeTimeSpan(topic, world.group()).get(0);
        Check.equal(world.queue(topic, 0), span.getMessageQueue(), "queue of the time span");
        Check.that(span.getMinTimeStamp() <= span.getConsumeTimeStamp() && span.getConsumeTimeStamp() <= span.getMaxTimeStamp(), "times in order: " + span);
        Check.that(span.getDelayTime() >= 0 && span.getDelayTime() < 120_000, "age of the message that waits: " + span);
        Check.that(world.admin.fetchConsumeStatsInBroker(world.brokerAddr, false, 10_000).getConsumeStatsList().stream()
            .anyMatch(entry -> entry.containsKey(world.group())), "the group is among the broker's");
        world.admin.updateConsumeOffset(world.brokerAddr, world.group(), world.queue(topic, 0), 2);
        Check.equal(3L, world.admin.examineConsumeStats(world.group(), topic).computeTotalDiff(), "lag after its offset was set");
    }

    private static void cloneOffset(World world) throws Exception {
        String topic = world.topic(1);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(world, topic, inbox);
        world.send(world.producer(), world.queue(topic, 0), numbered("m", 4));
        inbox.await(numbered("m", 4), "four messages");
        consumer.shutdown();
        String copy = world.group() + "_copy";
        world.subscriptionGroup(copy);
        world.admin.cloneGroupOffset(world.group(), copy, topic, true);
        Check.equal(4L, world.admin.examineConsumeStats(copy, topic).getOffsetTable().get(world.queue(topic, 0)).getConsumerOffset(), "offset of the copy");
    }

    private static void lists(World world) throws Exception {
        String one = world.topicName() + "_1";
        String two = world.topicName() + "_2";
        world.admin.createAndUpdateTopicConfigList(world.brokerAddr, List.of(new TopicConfig(one, 1, 1, 6), new TopicConfig(two, 2, 2, 6)));
        Check.eventually(20, "routes of both", () -> world.admin.examineTopicRouteInfo(one).getQueueDatas().get(0).getReadQueueNums() == 1
            && world.admin.examineTopicRouteInfo(two).getQueueDatas().get(0).getReadQueueNums() == 2);
        SubscriptionGroupConfig group = new SubscriptionGroupConfig();
        group.setGroupName(world.group());
        group.setRetryMaxTimes(7);
        world.admin.createAndUpdateSubscriptionGroupConfigList(world.brokerAddr, List.of(group));
        Check.equal(7, world.admin.examineSubscriptionGroupConfig(world.brokerAddr, world.group()).getRetryMaxTimes(), "retryMaxTimes");
        Check.equal(Set.of("DefaultCluster"), world.admin.getTopicClusterList(one), "clusters of a topic");
        Check.that(world.admin.getUserTopicConfig(world.brokerAddr, false, 10_000).getTopicConfigTable().keySet().containsAll(Set.of(one, two)),
            "both are topics of users");
        Check.that(world.admin.getUserSubscriptionGroup(world.brokerAddr, 10_000).getSubscriptionGroupTable().containsKey(world.group()),
            "it is a group of users");
        Check.that(world.admin.fetchTopicsByCLuster("DefaultCluster").getTopicList().containsAll(Set.of(one, two)), "both are in the cluster");
    }

    private static void timeBoundaries(World world) throws Exception {
        String topic = world.topic(1);
        MessageQueue queue = world.queue(topic, 0);
        DefaultMQProducer producer = world.producer();
        world.send(producer, queue, numbered("early", 3));
        Thread.sleep(300); // the time between both is what is searched for
        long between = System.currentTimeMillis() - 100;
        world.send(producer, queue, numbered("late", 3));
        Check.eventually(15, "six messages", () -> world.admin.maxOffset(queue) == 6);
        Check.equal(3L, world.admin.searchLowerBoundaryOffset(queue, between), "first message after");
        Check.equal(2L, world.admin.searchUpperBoundaryOffset(queue, between), "last message before");
        Check.equal(0L, world.admin.searchLowerBoundaryOffset(queue, 1_000), "first message of all time");
        Check.equal(3L, world.admin.searchOffset(world.brokerAddr, topic, 0, between, 5_000), "offset of the time");
    }

    private static void messageTrack(World world) throws Exception {
        String topic = world.topic(1);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = started(world, topic, inbox);
        SendResult sent = world.producer().send(new Message(topic, bytes("tracked")));
        inbox.await(List.of("tracked"), "the message");
        Check.eventually(World.DELIVERY_SECONDS, "its group has consumed it", () -> world.admin.messageTrackDetail(world.admin.viewMessage(topic,
            sent.getOffsetMsgId())).stream().anyMatch(t -> t.getConsumerGroup().equals(world.group()) && t.getTrackType() == TrackType.CONSUMED));
        consumer.shutdown();
        Check.eventually(20, "its group is offline", () -> world.admin.messageTrackDetail(world.admin.viewMessage(topic,
            sent.getOffsetMsgId())).stream().anyMatch(t -> t.getConsumerGroup().equals(world.group()) && t.getTrackType() == TrackType.NOT_ONLINE));
    }

    private static void consumeQueue(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQProducer producer = world.producer();
        for (String tag : List.of("a", "b", "c")) producer.send(new Message(topic, tag, bytes(tag)), world.queue(topic, 0));
        Check.eventually(15, "three messages", () -> world.admin.maxOffset(world.queue(topic, 0)) == 3);
        QueryConsumeQueueResponseBody body = world.admin.queryConsumeQueue(world.brokerAddr, topic, 0, 1, 5, null);
        Check.equal(2, body.getQueueData().size(), "units from the second on");
        Check.equal((long) "b".hashCode(), body.getQueueData().get(0).getTagsCode(), "tagsCode");
        Check.equal(3L, body.getMaxQueueIndex(), "maxQueueIndex");
        Check.refused(ResponseCode.SYSTEM_ERROR, () -> world.admin.queryConsumeQueue(world.brokerAddr, topic, 9, 0, 5, null));
    }

    private static void groupNames(World world) throws Exception {
        String longest = world.group() + "x".repeat(120 - world.group().length());
        world.subscriptionGroup(longest);
        Check.equal(longest, world.admin.examineSubscriptionGroupConfig(world.brokerAddr, longest).getGroupName(), "the longest name");
        for (String name : List.of(longest + "x", world.group() + " b", " ")) {
            Check.refused(ResponseCode.INVALID_PARAMETER, () -> world.subscriptionGroup(name));
        }
    }

    private static void haStatus(World world) throws Exception {
        Check.that(world.admin.getBrokerHAStatus(world.brokerAddr).isMaster(), "it is a master");
        Check.equal(0, world.admin.getBrokerHAStatus(world.brokerAddr).getHaConnectionInfo().size(), "slaves");
    }

    private static void namesrvConfig(World world) throws Exception {
        List<String> namesrvs = List.of(world.namesrv);
        Set<String> needed = Set.of("listenPort", "orderMessageEnable", "scanNotActiveBrokerInterval", "kvConfigPath");
        Check.that(world.admin.getNameServerConfig(namesrvs).get(world.namesrv).stringPropertyNames().containsAll(needed), "its settings: "
            + new TreeSet<>(world.admin.getNameServerConfig(namesrvs).get(world.namesrv).stringPropertyNames()));
        Check.equal(namesrvs, world.admin.getNameServerAddressList(), "addresses of NameServers");
    }
}
