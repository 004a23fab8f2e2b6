package conformance;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * What a case works with: a topic and groups named after it, and clients that are shut down when it ends. Each client has an
 * instance of its own, as if it were a process of its own. Names are the same in every run, so two clusters can be compared.
 */
final class World implements AutoCloseable {

    /** How long a consumer may take to get going: a client that missed its first heartbeat or route asks again after 30 s. */
    static final int DELIVERY_SECONDS = 75;

    final String caseName;
    final String namesrv;
    final String brokerName;
    final String brokerAddr;
    final DefaultMQAdminExt admin;
    private final Deque<Runnable> closing = new ArrayDeque<>();
    private int instances;

    World(String caseName, String namesrv, String brokerName, String brokerAddr, DefaultMQAdminExt admin) {
        this.caseName = caseName;
        this.namesrv = namesrv;
        this.brokerName = brokerName;
        this.brokerAddr = brokerAddr;
        this.admin = admin;
    }

    // ---- topics and names

    String topicName() {
        return "T_" + caseName;
    }

    String group() {
        return "G_" + caseName;
    }

    /** Creates the topic of this case and waits until clients can find it. */
    String topic(int queues) throws Exception {
        return topic(topicName(), queues, queues, 6);
    }

    String topic(String topic, int readQueues, int writeQueues, int perm) throws Exception {
        admin.createAndUpdateTopicConfig(brokerAddr, new TopicConfig(topic, readQueues, writeQueues, perm));
        Check.eventually(15, "route of " + topic, () -> admin.examineTopicRouteInfo(topic).getQueueDatas().stream()
            .anyMatch(q -> q.getPerm() == perm && q.getReadQueueNums() == readQueues && q.getWriteQueueNums() == writeQueues));
        return topic;
    }

    /** Creates a group, where none joins by itself: the broker refuses pulls of groups it does not know. */
    void subscriptionGroup(String group) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        admin.createAndUpdateSubscriptionGroupConfig(brokerAddr, config);
    }

    /** Waits until a member of the group is online at the broker. */
    void awaitMember(String group) throws Exception {
        Check.eventually(DELIVERY_SECONDS, "a member of " + group + " at the broker",
            () -> !admin.examineConsumerConnectionInfo(group, brokerAddr).getConnectionSet().isEmpty());
    }

    MessageQueue queue(String topic, int queueId) {
        return new MessageQueue(topic, brokerName, queueId);
    }

    // ---- clients

    DefaultMQProducer producer() throws Exception {
        return producerWith(producer -> { });
    }

    /** A producer with settings of its own. */
    DefaultMQProducer producerWith(Consumer<DefaultMQProducer> settings) throws Exception {
        return started(new DefaultMQProducer("P_" + caseName), settings);
    }

    /** A producer that tells what it does in a topic. */
    DefaultMQProducer tracedProducer(String traceTopic) throws Exception {
        return started(new DefaultMQProducer("P_" + caseName, true, traceTopic), producer -> { });
    }

    private DefaultMQProducer started(DefaultMQProducer producer, Consumer<DefaultMQProducer> settings) throws Exception {
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName(instance());
        producer.setSendMsgTimeout(10_000);
        settings.accept(producer);
        producer.start();
        closing.push(producer::shutdown);
        return producer;
    }

    @SuppressWarnings("deprecation") // the one client of the library that pulls without any logic of its own
    DefaultMQPullConsumer puller(String group) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(instance());
        consumer.setBrokerSuspendMaxTimeMillis(15_000);
        consumer.start();
        closing.push(consumer::shutdown);
        return consumer;
    }

    /** A push consumer that reads from the first message on; the case starts it. */
    DefaultMQPushConsumer pusher(String group) {
        return prepared(new DefaultMQPushConsumer(group));
    }

    /** A push consumer that tells what it does in a topic. */
    DefaultMQPushConsumer tracedPusher(String group, String traceTopic) {
        return prepared(new DefaultMQPushConsumer(group, true, traceTopic));
    }

    private DefaultMQPushConsumer prepared(DefaultMQPushConsumer consumer) {
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        closing.push(consumer::shutdown);
        return consumer;
    }

    /** Starts a push consumer on a topic. */
    static void start(DefaultMQPushConsumer consumer, String topic, String tags, MessageListenerConcurrently listener) throws Exception {
        consumer.subscribe(topic, tags);
        consumer.registerMessageListener(listener);
        consumer.start();
    }

    static void start(DefaultMQPushConsumer consumer, String topic, String tags, MessageListenerOrderly listener) throws Exception {
        consumer.subscribe(topic, tags);
        consumer.registerMessageListener(listener);
        consumer.start();
    }

    DefaultLitePullConsumer litePuller(String group) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        closing.push(consumer::shutdown);
        return consumer;
    }

    /** Ends what a case made for itself. */
    void onClose(Runnable task) {
        closing.push(task);
    }

    /** A bare connection, for requests that the client library would not send. */
    NettyRemotingClient remoting() {
        NettyRemotingClient remoting = new NettyRemotingClient(new NettyClientConfig());
        remoting.start();
        closing.push(remoting::shutdown);
        return remoting;
    }

    /** Of this process alone: a broadcasting consumer keeps its offsets in a file of this name, and the other peer's run would find it. */
    synchronized String instance() {
        return caseName + "-" + ProcessHandle.current().pid() + "-" + instances++;
    }

    // ---- words

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(Message message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    static List<String> numbered(String prefix, int count) {
        List<String> all = new ArrayList<>();
        for (int i = 0; i < count; i++) all.add(prefix + i);
        return all;
    }

    /** Sends one message per text, in order, to one queue. */
    void send(DefaultMQProducer producer, MessageQueue queue, List<String> texts) throws Exception {
        for (String body : texts) producer.send(new Message(queue.getTopic(), bytes(body)), queue);
    }

    /** Reads a queue from an offset until count messages are there; what an asynchronous send has not stored yet is waited for. */
    @SuppressWarnings("deprecation")
    List<MessageExt> read(DefaultMQPullConsumer consumer, MessageQueue queue, long queueOffset, int count) throws Exception {
        List<MessageExt> all = new ArrayList<>();
        long[] next = {queueOffset};
        Check.eventually(15, count + " messages in " + queue, () -> {
            PullResult result = consumer.pull(queue, "*", next[0], 32);
            next[0] = result.getNextBeginOffset();
            if (result.getPullStatus() == PullStatus.FOUND) all.addAll(result.getMsgFoundList());
            return all.size() >= count;
        });
        return all;
    }

    @Override
    public void close() {
        while (!closing.isEmpty()) {
            Runnable task = closing.pop();
            try {
                task.run();
            } catch (RuntimeException e) {
                System.err.println(caseName + ": shutdown: " + e);
            }
        }
    }
}
