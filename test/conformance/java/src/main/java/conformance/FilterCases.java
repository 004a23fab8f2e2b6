package conformance;

import static conformance.World.bytes;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** Messages that are chosen by an expression over their properties. */
final class FilterCases {

    private FilterCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("filterExpressions", FilterCases::expressions),
            new Case("filterPush", FilterCases::push),
            new Case("filterRefused", FilterCases::refused));
    }

    /** What each of these brings; properties are n = 0…9, even = true or false, name = item-n, and half on the first five. */
    private static final String[][] EXPRESSIONS = {
        {"n = 3", "3"},
        {"n <> 3 AND n < 5", "0 1 2 4"},
        {"n >= 8", "8 9"},
        {"n > 7.5", "8 9"},
        {"n BETWEEN 2 AND 4", "2 3 4"},
        {"n NOT BETWEEN 1 AND 8", "0 9"},
        {"n IN ('1', '7')", "1 7"},
        {"n NOT IN ('1', '7') AND n < 4", "0 2 3"},
        {"half IS NULL", "5 6 7 8 9"},
        {"half IS NOT NULL", "0 1 2 3 4"},
        {"half = 'yes' OR n = 9", "0 1 2 3 4 9"},
        {"NOT (half = 'yes')", ""},
        {"missing = 1", ""},
        {"missing <> 1", ""},
        {"missing = 1 OR n = 2", "2"},
        {"even = TRUE AND n > 4", "6 8"},
        {"even = 'true' AND n > 4", "6 8"},
        {"even", ""},
        {"name CONTAINS '7'", "7"},
        {"name STARTSWITH 'item' AND n < 2", "0 1"},
        {"name ENDSWITH '-9'", "9"},
        {"name NOT CONTAINS 'item'", ""},
        {"name > 5", ""},
        {"name > 5 OR n = 1", ""},
        {"n = 1 OR name > 5", "1"},
        {"n = -1", ""},
        {"n > -1 AND n < 2", "0 1"},
        {"TRUE", "0 1 2 3 4 5 6 7 8 9"},
        {"TAGS = 'a'", "0 2 4 6 8"},
        {"/* a comment */ n = 3", "3"},
        {"n = 3 anything", "3"},
    };

    private static void enable(World world) throws Exception {
        Properties settings = new Properties();
        settings.setProperty("enablePropertyFilter", "true");
        world.admin.updateBrokerConfig(world.brokerAddr, settings);
    }

    private static void sendAll(World world, String topic) throws Exception {
        DefaultMQProducer producer = world.producer();
        for (int n = 0; n < 10; n++) {
            Message message = new Message(topic, n % 2 == 0 ? "a" : "b", bytes(String.valueOf(n)));
            message.putUserProperty("n", String.valueOf(n));
            message.putUserProperty("even", String.valueOf(n % 2 == 0));
            message.putUserProperty("name", "item-" + n);
            if (n < 5) message.putUserProperty("half", "yes");
            producer.send(message, world.queue(topic, 0));
        }
    }

    @SuppressWarnings("deprecation")
    private static void expressions(World world) throws Exception {
        enable(world);
        String topic = world.topic(1);
        sendAll(world, topic);
        world.subscriptionGroup(world.group());
        DefaultMQPullConsumer puller = world.puller(world.group());
        // The client asks for no expression before a heartbeat has told it the broker's version.
        Check.eventually(World.DELIVERY_SECONDS, "the client knows the broker",
            () -> puller.pull(world.queue(topic, 0), MessageSelector.bySql("n = 0"), 0, 32).getPullStatus() == PullStatus.FOUND);
        for (String[] pair : EXPRESSIONS) {
            List<String> found = new ArrayList<>();
            for (long next = 0; next < 10;) {
                PullResult pulled = puller.pull(world.queue(topic, 0), MessageSelector.bySql(pair[0]), next, 32);
                if (pulled.getPullStatus() == PullStatus.FOUND) pulled.getMsgFoundList().forEach(message -> found.add(text(message)));
                Check.that(pulled.getNextBeginOffset() > next, pair[0] + ": the pull goes on");
                next = pulled.getNextBeginOffset();
            }
            Check.equal(pair[1], String.join(" ", found), pair[0]);
        }
    }

    private static void push(World world) throws Exception {
        enable(world);
        String topic = world.topic(1);
        sendAll(world, topic);
        ConcurrentLinkedQueue<String> received = new ConcurrentLinkedQueue<>();
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.subscribe(topic, MessageSelector.bySql("n BETWEEN 3 AND 5 AND even IS NOT NULL"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) received.add(text(message));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Check.eventually(World.DELIVERY_SECONDS, "what was there", () -> received.size() == 3);
        sendAll(world, topic);
        Check.eventually(World.DELIVERY_SECONDS, "what came later", () -> received.size() == 6);
        List<String> all = new ArrayList<>(received);
        Collections.sort(all);
        Check.equal(List.of("3", "3", "4", "4", "5", "5"), all, "messages");
    }

    private static void refused(World world) throws Exception {
        enable(world);
        String topic = world.topic(1);
        DefaultMQPushConsumer consumer = world.pusher(world.group());
        consumer.subscribe(topic, MessageSelector.bySql("n >"));
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        Check.refused(ResponseCode.SUBSCRIPTION_PARSE_FAILED, consumer::start);
    }
}
