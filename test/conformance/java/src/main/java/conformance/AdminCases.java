package conformance;

import static conformance.World.bytes;
import static conformance.World.numbered;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.body.ConsumerConnection;
import org.apache.rocketmq.remoting.protocol.body.KVTable;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/** What an operator of a cluster asks for: the calls behind mqadmin and behind the controllers. */
final class AdminCases {

    private AdminCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("adminTopicLifecycle", AdminCases::topicLifecycle),
            new Case("adminGroupLifecycle", AdminCases::groupLifecycle),
            new Case("adminUnknownNames", AdminCases::unknownNames),
            new Case("adminTopicStats", AdminCases::topicStats),
            new Case("adminConsumeStats", AdminCases::consumeStats),
            new Case("adminConnections", AdminCases::connections),
            new Case("adminClusterInfo", AdminCases::clusterInfo),
            new Case("adminBrokerRuntimeInfo", AdminCases::brokerRuntimeInfo),
            new Case("adminBrokerConfig", AdminCases::brokerConfig),
            new Case("adminKvConfig", AdminCases::kvConfig),
            new Case("mqadminFixture", AdminCases::mqadminFixture));
    }

    private static QueueData onlyQueueData(World world, String topic) throws Exception {
        List<QueueData> all = world.admin.examineTopicRouteInfo(topic).getQueueDatas();
        Check.equal(1, all.size(), "brokers of the topic");
        return all.get(0);
    }

    private static void topicLifecycle(World world) throws Exception {
        String topic = world.topic(2);
        TopicRouteData route = world.admin.examineTopicRouteInfo(topic);
        Check.equal(world.brokerName, route.getQueueDatas().get(0).getBrokerName(), "brokerName in the route");
        Check.equal(Map.of(0L, world.brokerAddr), route.getBrokerDatas().get(0).getBrokerAddrs(), "addresses in the route");
        Check.equal("DefaultCluster", route.getBrokerDatas().get(0).getCluster(), "cluster in the route");

        world.topic(topic, 8, 4, 6);
        Check.equal(8, onlyQueueData(world, topic).getReadQueueNums(), "readQueueNums after the update");
        TopicConfig config = world.admin.examineTopicConfig(world.brokerAddr, topic);
        Check.equal(8, config.getReadQueueNums(), "readQueueNums of the broker's configuration");
        Check.equal(4, config.getWriteQueueNums(), "writeQueueNums of the broker's configuration");
        Check.equal(6, config.getPerm(), "perm of the broker's configuration");
        Check.that(world.admin.getAllTopicConfig(world.brokerAddr, 10_000).getTopicConfigTable().containsKey(topic), "it is among all topics");
        Check.that(world.admin.fetchAllTopicList().getTopicList().contains(topic), "it is in the topic list");

        DefaultMQProducer producer = world.producer();
        world.send(producer, world.queue(topic, 3), numbered("m", 3));
        world.admin.deleteTopicInBroker(Set.of(world.brokerAddr), topic);
        world.admin.deleteTopicInNameServer(Set.of(world.namesrv), "DefaultCluster", topic);
        Check.eventually(15, "no route", () -> {
            try {
                world.admin.examineTopicRouteInfo(topic);
                return false;
            } catch (org.apache.rocketmq.client.exception.MQClientException e) {
                return e.getResponseCode() == ResponseCode.TOPIC_NOT_EXIST;
            }
        });

        world.topic(4); // a topic of the same name starts anew
        Check.eventually(15, "the queue is empty", () -> world.admin.maxOffset(world.queue(topic, 3)) == 0);
        Check.equal(0L, world.producer().send(new Message(topic, bytes("new")), world.queue(topic, 3)).getQueueOffset(), "queueOffset of the first");
    }

    private static void groupLifecycle(World world) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(world.group());
        config.setRetryMaxTimes(3);
        config.setRetryQueueNums(2);
        config.setConsumeBroadcastEnable(false);
        world.admin.createAndUpdateSubscriptionGroupConfig(world.brokerAddr, config);
        SubscriptionGroupConfig seen = world.admin.examineSubscriptionGroupConfig(world.brokerAddr, world.group());
        Check.equal(3, seen.getRetryMaxTimes(), "retryMaxTimes");
        Check.equal(2, seen.getRetryQueueNums(), "retryQueueNums");
        Check.equal(false, seen.isConsumeBroadcastEnable(), "consumeBroadcastEnable");
        Check.equal(true, seen.isConsumeEnable(), "consumeEnable");
        Check.that(world.admin.getAllSubscriptionGroup(world.brokerAddr, 10_000).getSubscriptionGroupTable().containsKey(world.group()), "it is among all groups");
        world.admin.deleteSubscriptionGroup(world.brokerAddr, world.group(), true);
        Check.that(!world.admin.getAllSubscriptionGroup(world.brokerAddr, 10_000).getSubscriptionGroupTable().containsKey(world.group()), "it is gone");
    }

    private static void unknownNames(World world) throws Exception {
        Check.refused(ResponseCode.TOPIC_NOT_EXIST, () -> world.admin.examineTopicRouteInfo("T_never_created"));
        Check.refused(ResponseCode.TOPIC_NOT_EXIST, () -> world.admin.examineTopicConfig(world.brokerAddr, "T_never_created"));
        Check.refused(ResponseCode.TOPIC_NOT_EXIST, () -> world.admin.examineConsumeStats("G_never_seen"));
        Check.refused(ResponseCode.CONSUMER_NOT_ONLINE, () -> world.admin.examineConsumerConnectionInfo("G_never_seen", world.brokerAddr));
    }

    private static void topicStats(World world) throws Exception {
        String topic = world.topic(4);
        world.send(world.producer(), world.queue(topic, 2), numbered("m", 7));
        Check.eventually(15, "seven messages in queue 2", () -> world.admin.examineTopicStats(topic).getOffsetTable()
            .get(world.queue(topic, 2)).getMaxOffset() == 7);
        Map<MessageQueue, TopicOffset> table = world.admin.examineTopicStats(topic).getOffsetTable();
        Check.equal(4, table.size(), "queues");
        TopicOffset full = table.get(world.queue(topic, 2));
        Check.equal(0L, full.getMinOffset(), "minOffset");
        Check.that(Math.abs(full.getLastUpdateTimestamp() - System.currentTimeMillis()) < 60_000, "last update is just now");
        TopicOffset empty = table.get(world.queue(topic, 0));
        Check.equal(0L, empty.getMaxOffset(), "maxOffset of an empty queue");
        Check.equal(0L, empty.getLastUpdateTimestamp(), "last update of an empty queue");
    }

    private static void consumeStats(World world) throws Exception {
        String topic = world.topic(2);
        DefaultMQProducer producer = world.producer();
        DefaultMQPushConsumer consumer = swallower(world, topic);
        world.send(producer, world.queue(topic, 0), numbered("m", 10));
        Check.eventually(World.DELIVERY_SECONDS, "consumerOffset 10 at the broker", () -> offsetOf(world, topic) == 10);
        Check.equal(0L, world.admin.examineConsumeStats(world.group(), topic).computeTotalDiff(), "lag of a group that is up to date");
        consumer.shutdown();
        world.send(producer, world.queue(topic, 0), numbered("more", 5));
        Check.eventually(15, "a lag of 5", () -> world.admin.examineConsumeStats(world.group(), topic).computeTotalDiff() == 5);
        ConsumeStats stats = world.admin.examineConsumeStats(world.group(), topic);
        Check.equal(10L, stats.getOffsetTable().get(world.queue(topic, 0)).getConsumerOffset(), "consumerOffset");
        Check.equal(15L, stats.getOffsetTable().get(world.queue(topic, 0)).getBrokerOffset(), "brokerOffset");
    }

    private static long offsetOf(World world, String topic) throws Exception {
        return world.admin.examineConsumeStats(world.group(), topic).getOffsetTable().get(world.queue(topic, 0)).getConsumerOffset();
    }

    private static DefaultMQPushConsumer swallower(World world, String topic) throws Exception {
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        consumer.start();
        world.awaitMember(world.group());
        return consumer;
    }

    private static void connections(World world) throws Exception {
        String topic = world.topic(1);
        DefaultMQPushConsumer consumer = swallower(world, topic);
        DefaultMQProducer producer = world.producer();
        world.send(producer, world.queue(topic, 0), numbered("m", 1));

        ConsumerConnection online = world.admin.examineConsumerConnectionInfo(world.group(), world.brokerAddr);
        Check.equal(1, online.getConnectionSet().size(), "connections of the group");
        Check.equal("CONSUME_PASSIVELY", online.getConsumeType().name(), "consume type");
        Check.equal("CLUSTERING", online.getMessageModel().name(), "message model");
        Check.equal("CONSUME_FROM_FIRST_OFFSET", online.getConsumeFromWhere().name(), "consume from where");
        Check.equal(Set.of(topic, "%RETRY%" + world.group()), online.getSubscriptionTable().keySet(), "subscribed topics");
        Check.equal("*", online.getSubscriptionTable().get(topic).getSubString(), "subscription");
        Check.that(online.getConnectionSet().iterator().next().getClientId().contains(world.caseName), "clientId is the client's own");
        Check.equal("JAVA", online.getConnectionSet().iterator().next().getLanguage().name(), "language");
        Check.equal(Set.of(world.group()), world.admin.queryTopicConsumeByWho(topic).getGroupList(), "groups that consume the topic");
        Check.eventually(World.DELIVERY_SECONDS, "the producer is known", () ->
            world.admin.examineProducerConnectionInfo("P_" + world.caseName, topic).getConnectionSet().size() == 1);
        consumer.shutdown();
        Check.eventually(20, "nobody is online after shutdown", () -> {
            try {
                world.admin.examineConsumerConnectionInfo(world.group(), world.brokerAddr);
                return false;
            } catch (org.apache.rocketmq.client.exception.MQBrokerException e) {
                return e.getResponseCode() == ResponseCode.CONSUMER_NOT_ONLINE;
            }
        });
    }

    private static void clusterInfo(World world) throws Exception {
        ClusterInfo info = world.admin.examineBrokerClusterInfo();
        // brokers that other cases registered may not have been forgotten yet
        Check.equal(Set.of(world.brokerName), info.getClusterAddrTable().get("DefaultCluster"), "DefaultCluster");
        Check.equal(Map.of(0L, world.brokerAddr), info.getBrokerAddrTable().get(world.brokerName).getBrokerAddrs(), "addresses");
    }

    /** Leaves a topic of four queues with five messages each, and a group that is offline and has read all but the last two. */
    private static void mqadminFixture(World world) throws Exception {
        String topic = world.topic(4);
        DefaultMQProducer producer = world.producer();
        for (int queueId = 0; queueId < 4; queueId++) world.send(producer, world.queue(topic, queueId), numbered("m", 5));
        DefaultMQPushConsumer consumer = swallower(world, topic);
        Check.eventually(World.DELIVERY_SECONDS, "consumerOffset 5 of each queue", () -> world.admin.examineConsumeStats(world.group(), topic)
            .getOffsetTable().values().stream().allMatch(o -> o.getConsumerOffset() == 5));
        consumer.shutdown();
        world.send(producer, world.queue(topic, 3), numbered("late", 2));
    }

    /** The keys that mqadmin, dashboards and exporters read. */
    private static void brokerRuntimeInfo(World world) throws Exception {
        KVTable table = world.admin.fetchBrokerRuntimeStats(world.brokerAddr);
        Set<String> needed = Set.of("bootTimestamp", "brokerVersionDesc", "commitLogDiskRatio",
            "commitLogMaxOffset", "commitLogMinOffset", "consumeQueueDiskRatio", "dispatchBehindBytes", "getFoundTps", "getMissTps", "getTotalTps",
            "getTransferredTps", "msgGetTotalTodayMorning", "msgGetTotalTodayNow", "msgGetTotalYesterdayMorning", "msgPutTotalTodayMorning",
            "msgPutTotalTodayNow", "msgPutTotalYesterdayMorning", "pageCacheLockTimeMills", "pullThreadPoolQueueHeadWaitTimeMills",
            "pullThreadPoolQueueSize", "putMessageAverageSize", "putMessageEntireTimeMax", "putMessageTimesTotal",
            "putTps", "remainHowManyDataToFlush", "runtime", "sendThreadPoolQueueHeadWaitTimeMills", "sendThreadPoolQueueSize",
            "startAcceptSendRequestTimeStamp");
        Set<String> missing = needed.stream().filter(k -> !table.getTable().containsKey(k)).collect(Collectors.toSet());
        Check.equal(Set.of(), missing, "missing keys");
        Check.equal("V5_5_0", table.getTable().get("brokerVersionDesc"), "brokerVersionDesc");
    }

    private static void brokerConfig(World world) throws Exception {
        Properties before = world.admin.getBrokerConfig(world.brokerAddr);
        for (Map.Entry<String, String> each : Map.of("brokerName", world.brokerName, "brokerId", "0", "brokerClusterName", "DefaultCluster",
            "autoCreateTopicEnable", "false", "flushDiskType", "ASYNC_FLUSH").entrySet()) {
            Check.equal(each.getValue(), before.getProperty(each.getKey()), each.getKey());
        }
        Properties change = new Properties();
        change.setProperty("shortPollingTimeMills", "900");
        world.admin.updateBrokerConfig(world.brokerAddr, change);
        Check.equal("900", world.admin.getBrokerConfig(world.brokerAddr).getProperty("shortPollingTimeMills"), "shortPollingTimeMills after the update");
        change.setProperty("shortPollingTimeMills", before.getProperty("shortPollingTimeMills"));
        world.admin.updateBrokerConfig(world.brokerAddr, change);
    }

    private static void kvConfig(World world) throws Exception {
        world.admin.createAndUpdateKvConfig("CONFORMANCE", "key one", "value, with \"quotes\" and ü");
        Check.equal("value, with \"quotes\" and ü", world.admin.getKVConfig("CONFORMANCE", "key one"), "value");
        Map<String, String> all = new HashMap<>(world.admin.getKVListByNamespace("CONFORMANCE").getTable());
        Check.equal(Set.of("key one"), all.keySet(), "keys of the namespace");
        world.admin.deleteKvConfig("CONFORMANCE", "key one");
        Check.refused(ResponseCode.QUERY_NOT_FOUND, () -> world.admin.getKVConfig("CONFORMANCE", "key one"));
    }
}
