package conformance;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** Requests that the client library does not let through: a broker must refuse them with the same code, and live on. */
final class RawCases {

    private RawCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("rawSendV1", RawCases::sendV1),
            new Case("rawSendEmptyBody", RawCases::sendEmptyBody),
            new Case("rawSendIllegal", RawCases::sendIllegal),
            new Case("rawPullIllegal", RawCases::pullIllegal),
            new Case("rawUnknownCode", RawCases::unknownCode),
            new Case("rawPipelined", RawCases::pipelined));
    }

    private static Map<String, String> sendHeader(String topic, int queueId) {
        Map<String, String> fields = new HashMap<>();
        fields.put("producerGroup", "raw");
        fields.put("topic", topic);
        fields.put("defaultTopic", "TBW102");
        fields.put("defaultTopicQueueNums", "4");
        fields.put("queueId", String.valueOf(queueId));
        fields.put("sysFlag", "0");
        fields.put("bornTimestamp", String.valueOf(System.currentTimeMillis()));
        fields.put("flag", "0");
        fields.put("properties", "UNIQ_KEY\u0001" + topic + "\u0002WAIT\u0001true");
        fields.put("reconsumeTimes", "0");
        return fields;
    }

    private static RemotingCommand call(World world, NettyRemotingClient remoting, int code, Map<String, String> fields, byte[] body)
        throws Exception {
        RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
        request.setExtFields(new HashMap<>(fields));
        request.setBody(body);
        return remoting.invokeSync(world.brokerAddr, request, 10_000);
    }

    private static void sendV1(World world) throws Exception {
        String topic = world.topic(2);
        RemotingCommand response = call(world, world.remoting(), RequestCode.SEND_MESSAGE, sendHeader(topic, 1), World.bytes("v1"));
        Check.equal(ResponseCode.SUCCESS, response.getCode(), "code");
        Check.equal("1", response.getExtFields().get("queueId"), "queueId");
        Check.equal("0", response.getExtFields().get("queueOffset"), "queueOffset");
        Check.equal(32, response.getExtFields().get("msgId").length(), "length of msgId");
        Check.equal("v1", World.text(world.read(world.puller(world.group()), world.queue(topic, 1), 0, 1).get(0)), "body");
    }

    private static void sendEmptyBody(World world) throws Exception {
        String topic = world.topic(1);
        NettyRemotingClient remoting = world.remoting();
        RemotingCommand response = call(world, remoting, RequestCode.SEND_MESSAGE, sendHeader(topic, 0), new byte[0]);
        Check.equal(ResponseCode.SYSTEM_ERROR, response.getCode(), "code for an empty body");
    }

    private static void sendIllegal(World world) throws Exception {
        String topic = world.topic(2);
        NettyRemotingClient remoting = world.remoting();
        byte[] body = World.bytes("x");

        RemotingCommand unknown = call(world, remoting, RequestCode.SEND_MESSAGE, sendHeader("T_never_created", 0), body);
        Check.equal(ResponseCode.TOPIC_NOT_EXIST, unknown.getCode(), "code for an unknown topic");
        RemotingCommand illegalName = call(world, remoting, RequestCode.SEND_MESSAGE, sendHeader("not a topic!", 0), body);
        Check.equal(ResponseCode.INVALID_PARAMETER, illegalName.getCode(), "code for a topic with characters that no topic has");
        RemotingCommand system = call(world, remoting, RequestCode.SEND_MESSAGE, sendHeader("SCHEDULE_TOPIC_XXXX", 0), body);
        Check.equal(ResponseCode.NO_PERMISSION, system.getCode(), "code for a topic of the system");
        RemotingCommand queueId = call(world, remoting, RequestCode.SEND_MESSAGE, sendHeader(topic, 99), body);
        Check.equal(ResponseCode.INVALID_PARAMETER, queueId.getCode(), "code for a queue that the topic does not have");
        Map<String, String> noTopic = sendHeader(topic, 0);
        noTopic.remove("topic");
        Check.equal(ResponseCode.SYSTEM_ERROR, call(world, remoting, RequestCode.SEND_MESSAGE, noTopic, body).getCode(), "code without topic");
        Map<String, String> words = sendHeader(topic, 0);
        words.put("queueId", "zero");
        Check.equal(ResponseCode.SYSTEM_ERROR, call(world, remoting, RequestCode.SEND_MESSAGE, words, body).getCode(), "code for a word as queueId");

        Map<String, String> anyQueue = sendHeader(topic, -1);
        Check.equal(ResponseCode.SUCCESS, call(world, remoting, RequestCode.SEND_MESSAGE, anyQueue, body).getCode(), "code for queueId -1: any");
    }

    private static void pullIllegal(World world) throws Exception {
        String topic = world.topic(1);
        NettyRemotingClient remoting = world.remoting();
        Map<String, String> fields = new HashMap<>();
        fields.put("consumerGroup", world.group());
        fields.put("topic", topic);
        fields.put("queueId", "0");
        fields.put("queueOffset", "0");
        fields.put("maxMsgNums", "32");
        fields.put("sysFlag", "4"); // the subscription comes with the request
        fields.put("commitOffset", "0");
        fields.put("suspendTimeoutMillis", "1000");
        fields.put("subscription", "*");
        fields.put("subVersion", "0");

        // the group is new: groups are created by their first use, where topics are not
        Check.equal(ResponseCode.PULL_NOT_FOUND, call(world, remoting, RequestCode.PULL_MESSAGE, fields, null).getCode(), "code at the queue's end");
        Map<String, String> unknown = new HashMap<>(fields);
        unknown.put("topic", "T_never_created");
        Check.equal(ResponseCode.TOPIC_NOT_EXIST, call(world, remoting, RequestCode.PULL_MESSAGE, unknown, null).getCode(), "code for an unknown topic");
        Map<String, String> queueId = new HashMap<>(fields);
        queueId.put("queueId", "7");
        Check.equal(ResponseCode.INVALID_PARAMETER, call(world, remoting, RequestCode.PULL_MESSAGE, queueId, null).getCode(), "code for an unknown queue");
        Map<String, String> noSubscription = new HashMap<>(fields);
        noSubscription.put("sysFlag", "0");
        Check.equal(ResponseCode.SUBSCRIPTION_NOT_EXIST, call(world, remoting, RequestCode.PULL_MESSAGE, noSubscription, null).getCode(),
            "code for a group that has not said what it subscribes to");
    }

    private static void unknownCode(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        RemotingCommand response = call(world, remoting, 29_999, Map.of("any", "thing"), World.bytes("{}"));
        Check.equal(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, response.getCode(), "code of the broker");
        RemotingCommand request = RemotingCommand.createRequestCommand(29_999, null);
        Check.equal(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remoting.invokeSync(world.namesrv, request, 10_000).getCode(), "code of the NameServer");
    }

    /** Many requests on one connection at once: each gets its own answer. */
    private static void pipelined(World world) throws Exception {
        String topic = world.topic(1);
        NettyRemotingClient remoting = world.remoting();
        List<Thread> threads = new java.util.ArrayList<>();
        Map<String, String> seen = new java.util.concurrent.ConcurrentHashMap<>();
        for (int i = 0; i < 32; i++) {
            String name = "p" + i;
            threads.add(new Thread(() -> {
                try {
                    RemotingCommand response = call(world, remoting, RequestCode.SEND_MESSAGE, sendHeader(topic, 0), World.bytes(name));
                    seen.put(response.getExtFields().get("queueOffset"), name);
                } catch (Exception e) {
                    seen.put(e.toString(), name);
                }
            }));
        }
        for (Thread thread : threads) thread.start();
        for (Thread thread : threads) thread.join();
        for (Message got : world.read(world.puller(world.group()), world.queue(topic, 0), 0, 32)) {
            String queueOffset = String.valueOf(((org.apache.rocketmq.common.message.MessageExt) got).getQueueOffset());
            Check.equal(seen.get(queueOffset), World.text(got), "message at the queueOffset " + queueOffset + " that its sender was told");
        }
    }
}
