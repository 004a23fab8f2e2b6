package conformance;

import static conformance.World.bytes;
import static conformance.World.text;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.header.EndTransactionRequestHeader;

/** Messages that wait for the end of a transaction. The broker asks every 2 s, of what is older than 2 s, 3 times. */
final class TransactionCases {

    private TransactionCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("transactionEnds", TransactionCases::ends),
            new Case("transactionAsked", TransactionCases::asked),
            new Case("transactionOfAnotherProducer", TransactionCases::ofAnotherProducer),
            new Case("transactionGivenUp", TransactionCases::givenUp),
            new Case("transactionImmune", TransactionCases::immune),
            new Case("transactionRawEnds", TransactionCases::rawEnds));
    }

    /** Ends a transaction as the message's body says: commit, rollback, unknown, or what follows `later-`. */
    private static final class ByBody implements TransactionListener {
        final Map<String, AtomicInteger> asked = new ConcurrentHashMap<>();

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            return state(text(message));
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            asked.computeIfAbsent(text(message), t -> new AtomicInteger()).incrementAndGet();
            return state(text(message).replaceFirst("^later-", ""));
        }

        private static LocalTransactionState state(String body) {
            if (body.startsWith("commit")) return LocalTransactionState.COMMIT_MESSAGE;
            return body.startsWith("rollback") ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.UNKNOW;
        }

        int asked(String body) {
            AtomicInteger count = asked.get(body);
            return count == null ? 0 : count.get();
        }
    }

    private static void settings(World world) throws Exception {
        java.util.Properties settings = new java.util.Properties();
        settings.setProperty("transactionCheckInterval", "2000");
        settings.setProperty("transactionTimeOut", "2000");
        settings.setProperty("transactionCheckMax", "3");
        settings.setProperty("transactionOpBatchInterval", "200");
        world.admin.updateBrokerConfig(world.brokerAddr, settings);
    }

    private static TransactionMQProducer producer(World world, String name, TransactionListener listener) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer("PT_" + world.caseName);
        producer.setNamesrvAddr(world.namesrv);
        producer.setInstanceName(world.caseName + "-" + ProcessHandle.current().pid() + "-" + name);
        producer.setSendMsgTimeout(10_000);
        producer.setTransactionListener(listener);
        producer.start();
        world.onClose(producer::shutdown);
        return producer;
    }

    @SuppressWarnings("deprecation")
    private static List<String> bodies(World world, String topic, int count) throws Exception {
        List<String> all = new ArrayList<>();
        DefaultMQPullConsumer puller = world.puller(world.group());
        // A broker that was started with another period may ask for the first time only when that has passed.
        Check.eventually(World.DELIVERY_SECONDS, count + " messages in " + topic, () -> {
            PullResult pulled = puller.pull(world.queue(topic, 0), "*", all.size(), 32);
            if (pulled.getPullStatus() == PullStatus.FOUND) pulled.getMsgFoundList().forEach(message -> all.add(text(message)));
            return all.size() >= count;
        });
        return all;
    }

    private static void ends(World world) throws Exception {
        settings(world);
        String topic = world.topic(1);
        TransactionMQProducer producer = producer(world, "a", new ByBody());
        Map<String, TransactionSendResult> sent = new HashMap<>();
        for (String body : List.of("commit0", "rollback0", "commit1", "rollback1", "commit2")) {
            Message message = new Message(topic, "tag", "key-" + body, bytes(body));
            message.setFlag(7);
            message.putUserProperty("shop", "b");
            TransactionSendResult result = producer.sendMessageInTransaction(message, null);
            Check.equal(SendStatus.SEND_OK, result.getSendStatus(), "send status");
            Check.equal(result.getMsgId(), result.getTransactionId(), "transaction id");
            sent.put(body, result);
        }
        world.subscriptionGroup(world.group());
        List<MessageExt> read = world.read(world.puller(world.group()), world.queue(topic, 0), 0, 3);
        Check.equal(3, read.size(), "committed messages");
        long queueOffset = 0;
        for (MessageExt message : read) {
            String body = "commit" + queueOffset;
            Check.equal(body, text(message), "body");
            Check.equal(queueOffset++, message.getQueueOffset(), "queue offset");
            Check.equal(topic, message.getTopic(), "topic");
            Check.equal("tag", message.getTags(), "tag");
            Check.equal("key-" + body, message.getKeys(), "key");
            Check.equal("b", message.getUserProperty("shop"), "property");
            Check.equal(7, message.getFlag(), "flag");
            Check.equal(sent.get(body).getMsgId(), message.getMsgId(), "message id");
            Check.equal(MessageSysFlag.TRANSACTION_COMMIT_TYPE, MessageSysFlag.getTransactionValue(message.getSysFlag()), "kind");
            TreeMap<String, String> properties = new TreeMap<>(message.getProperties());
            Check.equal("true", properties.get(MessageConst.PROPERTY_TRANSACTION_PREPARED), "property TRAN_MSG");
            Check.equal(null, properties.get(MessageConst.PROPERTY_REAL_TOPIC), "property REAL_TOPIC");
            Check.equal(null, properties.get(MessageConst.PROPERTY_REAL_QUEUE_ID), "property REAL_QID");
            Check.equal(message.getMsgId(), properties.get("__transactionId__"), "property __transactionId__");
            Check.equal("PT_" + world.caseName, properties.get(MessageConst.PROPERTY_PRODUCER_GROUP), "property PGROUP");
        }
    }

    private static void asked(World world) throws Exception {
        settings(world);
        String topic = world.topic(1);
        ByBody listener = new ByBody();
        TransactionMQProducer producer = producer(world, "a", listener);
        for (String body : List.of("later-commit", "later-rollback", "later-unknown")) {
            producer.sendMessageInTransaction(new Message(topic, bytes(body)), null);
        }
        world.subscriptionGroup(world.group());
        Check.eventually(World.DELIVERY_SECONDS, "each is asked about", () -> listener.asked.size() == 3);
        Check.equal(List.of("later-commit"), bodies(world, topic, 1), "committed when asked");
        Check.eventually(World.DELIVERY_SECONDS, "what is not known is asked again", () -> listener.asked("later-unknown") > 1);
        Check.equal(1, listener.asked("later-rollback"), "questions about what was rolled back");
    }

    private static void ofAnotherProducer(World world) throws Exception {
        settings(world);
        String topic = world.topic(1);
        world.subscriptionGroup(world.group());
        TransactionMQProducer first = producer(world, "a", new ByBody());
        first.sendMessageInTransaction(new Message(topic, bytes("later-commit")), null);
        first.shutdown();
        ByBody listener = new ByBody();
        TransactionMQProducer second = producer(world, "b", listener);
        second.sendMessageInTransaction(new Message(topic, bytes("rollback")), null); // makes it known to the broker
        Check.equal(List.of("later-commit"), bodies(world, topic, 1), "committed by another producer of the group");
    }

    private static void givenUp(World world) throws Exception {
        settings(world);
        String topic = world.topic(1);
        String body = "unknown-" + System.nanoTime();
        ByBody listener = new ByBody();
        TransactionMQProducer producer = producer(world, "a", listener);
        producer.sendMessageInTransaction(new Message(topic, bytes(body)), null);
        world.subscriptionGroup(world.group());
        var reader = world.puller(world.group());
        var queue = world.queue("TRANS_CHECK_MAX_TIME_TOPIC", 0);
        long[] next = {0};
        Check.eventually(World.DELIVERY_SECONDS, "it is with those that were given up", () -> {
            var pulled = reader.pull(queue, "*", next[0], 32);
            next[0] = pulled.getNextBeginOffset();
            return pulled.getMsgFoundList() != null && pulled.getMsgFoundList().stream().anyMatch(m -> text(m).equals(body));
        });
        Check.equal(3, listener.asked(body), "questions");
    }

    private static void immune(World world) throws Exception {
        settings(world);
        String topic = world.topic(1);
        ByBody listener = new ByBody();
        TransactionMQProducer producer = producer(world, "a", listener);
        Message immune = new Message(topic, bytes("later-commit-immune"));
        immune.putUserProperty(MessageConst.PROPERTY_CHECK_IMMUNITY_TIME_IN_SECONDS, "3600");
        producer.sendMessageInTransaction(immune, null);
        Message soon = new Message(topic, bytes("later-commit-soon"));
        soon.putUserProperty(MessageConst.PROPERTY_CHECK_IMMUNITY_TIME_IN_SECONDS, "3");
        producer.sendMessageInTransaction(soon, null);
        producer.sendMessageInTransaction(new Message(topic, bytes("later-commit-plain")), null);
        world.subscriptionGroup(world.group());
        Check.eventually(World.DELIVERY_SECONDS, "the others are asked about", () -> listener.asked.size() == 2);
        Check.equal(0, listener.asked("later-commit-immune"), "questions about one that is immune");
        Check.equal(2, bodies(world, topic, 2).size(), "committed");
    }

    /** What the client library would not do: ends that are wrong, and one that waits for its answer. */
    private static void rawEnds(World world) throws Exception {
        settings(world);
        String topic = world.topic(1);
        Message message = new Message(topic, bytes("raw"));
        String group = "PT_" + world.caseName;
        MessageAccessor.putProperty(message, MessageConst.PROPERTY_TRANSACTION_PREPARED, "true");
        MessageAccessor.putProperty(message, MessageConst.PROPERTY_PRODUCER_GROUP, group);
        SendResult sent = world.producer().send(message);
        long offset = MessageDecoder.decodeMessageId(sent.getOffsetMsgId()).getOffset();
        NettyRemotingClient remoting = world.remoting();
        Check.equal(ResponseCode.SYSTEM_ERROR, end(remoting, world, sent, "other", sent.getQueueOffset(), offset, 8), "another group");
        Check.equal(ResponseCode.SYSTEM_ERROR, end(remoting, world, sent, group, sent.getQueueOffset() + 1, offset, 8), "another offset");
        Check.equal(ResponseCode.SUCCESS, end(remoting, world, sent, group, sent.getQueueOffset(), offset, 8), "commit");
        world.subscriptionGroup(world.group());
        MessageExt committed = world.read(world.puller(world.group()), world.queue(topic, 0), 0, 1).get(0);
        Check.equal("raw", text(committed), "body");
        Check.equal(offset, committed.getPreparedTransactionOffset(), "offset of the half message");
        Check.equal(sent.getMsgId(), committed.getMsgId(), "message id");
    }

    private static int end(NettyRemotingClient remoting, World world, SendResult sent, String group, long queueOffset,
        long phyOffset, int outcome) throws Exception {
        EndTransactionRequestHeader header = new EndTransactionRequestHeader();
        header.setProducerGroup(group);
        header.setTranStateTableOffset(queueOffset);
        header.setCommitLogOffset(phyOffset);
        header.setCommitOrRollback(outcome);
        header.setMsgId(sent.getMsgId());
        header.setTransactionId(sent.getTransactionId());
        RemotingCommand request = RemotingCommand.createRequestCommand(RequestCode.END_TRANSACTION, header);
        return remoting.invokeSync(world.brokerAddr, request, 5_000).getCode();
    }
}
