package conformance;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.body.RegisterBrokerBody;
import org.apache.rocketmq.remoting.protocol.body.TopicConfigAndMappingSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.body.TopicList;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;

/** What a NameServer answers, asked on a bare connection; a broker that exists in its registration only keeps the real one out of it. */
final class NamesrvCases {

    private NamesrvCases() {
    }

    static List<Case> all() {
        return List.of(
            new Case("namesrvBrokerComesAndGoes", NamesrvCases::brokerComesAndGoes),
            new Case("namesrvWritePermission", NamesrvCases::writePermission),
            new Case("namesrvUnitTopics", NamesrvCases::unitTopics),
            new Case("namesrvRegisterTopic", NamesrvCases::registerTopic));
    }

    private static RemotingCommand call(World world, NettyRemotingClient remoting, int code, Map<String, String> fields, byte[] body)
        throws Exception {
        RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
        request.setExtFields(new HashMap<>(fields));
        request.setBody(body);
        return remoting.invokeSync(world.namesrv, request, 10_000);
    }

    private static String broker(World world) {
        return "b-" + world.caseName;
    }

    private static Map<String, String> identity(World world) {
        Map<String, String> fields = new HashMap<>();
        fields.put("brokerName", broker(world));
        fields.put("brokerAddr", "10.9.8.7:" + (10_000 + world.caseName.hashCode() % 1000));
        fields.put("clusterName", "C-" + world.caseName);
        fields.put("brokerId", "0");
        return fields;
    }

    /** Registers a broker with these topics by this connection: it is gone when the connection is. */
    private static void register(World world, NettyRemotingClient remoting, boolean compressed, TopicConfig... topics) throws Exception {
        TopicConfigAndMappingSerializeWrapper wrapper = new TopicConfigAndMappingSerializeWrapper();
        for (TopicConfig topic : topics) wrapper.getTopicConfigTable().put(topic.getTopicName(), topic);
        RegisterBrokerBody body = new RegisterBrokerBody();
        body.setTopicConfigSerializeWrapper(wrapper);
        Map<String, String> fields = identity(world);
        fields.put("haServerAddr", "10.9.8.7:1");
        fields.put("compressed", String.valueOf(compressed));
        fields.put("bodyCrc32", "0");
        RemotingCommand response = call(world, remoting, RequestCode.REGISTER_BROKER, fields, body.encode(compressed));
        Check.equal(ResponseCode.SUCCESS, response.getCode(), "code of the registration");
    }

    private static TopicConfig topic(World world, int number, int topicSysFlag) {
        return new TopicConfig(world.topicName() + number, 3, 2, 6, topicSysFlag);
    }

    private static RemotingCommand route(World world, NettyRemotingClient remoting, String topic) throws Exception {
        return call(world, remoting, RequestCode.GET_ROUTEINFO_BY_TOPIC, Map.of("topic", topic), null);
    }

    private static QueueData queues(World world, NettyRemotingClient remoting, String topic) throws Exception {
        return TopicRouteData.decode(route(world, remoting, topic).getBody(), TopicRouteData.class).getQueueDatas().get(0);
    }

    private static void brokerComesAndGoes(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        for (boolean compressed : new boolean[] {false, true}) {
            register(world, remoting, compressed, topic(world, 0, 0), topic(world, 1, 0));
            Check.equal(3, queues(world, remoting, world.topicName() + 1).getReadQueueNums(), "read queues");
            Check.equal(2, queues(world, remoting, world.topicName() + 1).getWriteQueueNums(), "write queues");

            call(world, remoting, RequestCode.UNREGISTER_BROKER, identity(world), null);
            Check.eventually(10, "no route after unregistration",
                () -> route(world, remoting, world.topicName() + 1).getCode() == ResponseCode.TOPIC_NOT_EXIST);
        }
        NettyRemotingClient dying = world.remoting();
        register(world, dying, false, topic(world, 0, 0), topic(world, 1, 0));
        Check.equal(ResponseCode.SUCCESS, route(world, remoting, world.topicName() + 1).getCode(), "code while it is there");
        dying.shutdown();
        Check.eventually(10, "no route after its connection closed",
            () -> route(world, remoting, world.topicName() + 1).getCode() == ResponseCode.TOPIC_NOT_EXIST);
    }

    private static void writePermission(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        register(world, remoting, false, topic(world, 0, 0), topic(world, 1, 0));
        Map<String, String> name = Map.of("brokerName", broker(world));

        RemotingCommand wiped = call(world, remoting, RequestCode.WIPE_WRITE_PERM_OF_BROKER, name, null);
        Check.equal("2", wiped.getExtFields().get("wipeTopicCount"), "wipeTopicCount");
        Check.equal(4, queues(world, remoting, world.topicName() + 0).getPerm(), "perm without writing");
        RemotingCommand added = call(world, remoting, RequestCode.ADD_WRITE_PERM_OF_BROKER, name, null);
        Check.equal("2", added.getExtFields().get("addTopicCount"), "addTopicCount");
        Check.equal(6, queues(world, remoting, world.topicName() + 0).getPerm(), "perm with writing");
    }

    private static void unitTopics(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        register(world, remoting, false, topic(world, 0, 0), topic(world, 1, 1), topic(world, 2, 2), topic(world, 3, 3));
        int[] codes = {
            RequestCode.GET_UNIT_TOPIC_LIST, RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST, RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST};
        String[] wanted = {"[1, 3]", "[2, 3]", "[2]"};
        for (int i = 0; i < codes.length; i++) {
            TopicList list = TopicList.decode(call(world, remoting, codes[i], Map.of(), null).getBody(), TopicList.class);
            TreeSet<String> numbers = new TreeSet<>();
            for (String topic : list.getTopicList())
                if (topic.startsWith(world.topicName())) numbers.add(topic.substring(world.topicName().length()));
            Check.equal(wanted[i], numbers.toString(), "topics of request " + codes[i]);
        }
    }

    private static void registerTopic(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        register(world, remoting, false, topic(world, 0, 0), topic(world, 1, 0));
        QueueData queues = new QueueData();
        queues.setBrokerName(broker(world));
        queues.setReadQueueNums(5);
        queues.setWriteQueueNums(4);
        queues.setPerm(6);
        TopicRouteData data = new TopicRouteData();
        data.setQueueDatas(List.of(queues));
        String topic = world.topicName() + "added";

        Check.equal(ResponseCode.SUCCESS,
            call(world, remoting, RequestCode.REGISTER_TOPIC_IN_NAMESRV, Map.of("topic", topic), data.encode()).getCode(), "code");
        Check.equal(5, queues(world, remoting, topic).getReadQueueNums(), "read queues");

        queues.setBrokerName("nobody");
        Check.equal(ResponseCode.SUCCESS, call(world, remoting, RequestCode.REGISTER_TOPIC_IN_NAMESRV, Map.of("topic", topic + "2"),
            data.encode()).getCode(), "code with a broker that nobody registered");
        Check.equal(ResponseCode.TOPIC_NOT_EXIST, route(world, remoting, topic + "2").getCode(), "code of its route");
    }
}
