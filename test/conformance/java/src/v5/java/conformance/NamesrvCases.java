package conformance;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.netty.NettyRemotingClient;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.body.KVTable;
import org.apache.rocketmq.remoting.protocol.body.RegisterBrokerBody;
import org.apache.rocketmq.remoting.protocol.body.TopicConfigAndMappingSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.body.TopicList;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
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
            new Case("namesrvRegisterTopic", NamesrvCases::registerTopic),
            new Case("namesrvZones", NamesrvCases::zones),
            new Case("namesrvOrderTopics", NamesrvCases::orderTopics),
            new Case("namesrvActingMaster", NamesrvCases::actingMaster),
            new Case("namesrvDialects", NamesrvCases::dialects));
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

    /** Registers a broker with these topics, two at least, by this connection: it is gone when the connection is. */
    private static void register(World world, NettyRemotingClient remoting, boolean compressed, TopicConfig... topics) throws Exception {
        register(world, remoting, Map.of("compressed", String.valueOf(compressed)), topics);
    }

    /** @param extra fields besides those of every broker, or in their place */
    private static RemotingCommand register(World world, NettyRemotingClient remoting, Map<String, String> extra, TopicConfig... topics)
        throws Exception {
        TopicConfigAndMappingSerializeWrapper wrapper = new TopicConfigAndMappingSerializeWrapper();
        for (TopicConfig topic : topics) wrapper.getTopicConfigTable().put(topic.getTopicName(), topic);
        RegisterBrokerBody body = new RegisterBrokerBody();
        body.setTopicConfigSerializeWrapper(wrapper);
        Map<String, String> fields = identity(world);
        fields.put("haServerAddr", "10.9.8.7:1");
        fields.put("compressed", "false");
        fields.put("bodyCrc32", "0");
        fields.putAll(extra);
        byte[] bytes = body.encode(Boolean.parseBoolean(fields.get("compressed")));
        RemotingCommand response = call(world, remoting, RequestCode.REGISTER_BROKER, fields, bytes);
        Check.equal(ResponseCode.SUCCESS, response.getCode(), "code of the registration");
        return response;
    }

    /** Identity of one of several brokers of a case, and of the zone that it says it is in. */
    private static Map<String, String> member(World world, int number, String brokerName, int brokerId, String zone) {
        Map<String, String> fields = new HashMap<>();
        fields.put("brokerName", broker(world) + brokerName);
        fields.put("brokerAddr", address(number));
        fields.put("brokerId", String.valueOf(brokerId));
        fields.put("enableActingMaster", "true");
        if (zone != null) fields.put("__ZONE_NAME", zone);
        return fields;
    }

    private static String address(int number) {
        return "10.9.8.6:" + (20_000 + number);
    }

    /** Changes a setting that other cases do not notice; it goes back to its default with the case. */
    private static void namesrvSetting(World world, NettyRemotingClient remoting, String key) throws Exception {
        setNamesrv(world, remoting, key + "=true");
        world.onClose(() -> {
            try {
                setNamesrv(world, remoting, key + "=false");
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private static void setNamesrv(World world, NettyRemotingClient remoting, String line) throws Exception {
        RemotingCommand response = call(world, remoting, RequestCode.UPDATE_NAMESRV_CONFIG, Map.of(), World.bytes(line));
        Check.equal(ResponseCode.SUCCESS, response.getCode(), "code of " + line);
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

    private static String names(World world, NettyRemotingClient remoting, Map<String, String> wants) throws Exception {
        Map<String, String> fields = new HashMap<>(wants);
        fields.put("topic", world.topicName() + 0);
        RemotingCommand response = call(world, remoting, RequestCode.GET_ROUTEINFO_BY_TOPIC, fields, null);
        TopicRouteData route = TopicRouteData.decode(response.getBody(), TopicRouteData.class);
        TreeSet<String> brokers = new TreeSet<>();
        TreeSet<String> queues = new TreeSet<>();
        for (BrokerData each : route.getBrokerDatas()) brokers.add(each.getBrokerName().substring(broker(world).length()));
        for (QueueData each : route.getQueueDatas()) queues.add(each.getBrokerName().substring(broker(world).length()));
        Check.equal(brokers, queues, "brokers and queues of " + wants);
        return brokers.toString();
    }

    private static void zones(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        register(world, remoting, member(world, 1, "near", 0, "east"), topic(world, 0, 0), topic(world, 1, 0));
        register(world, remoting, member(world, 2, "far", 0, "west"), topic(world, 0, 0), topic(world, 1, 0));
        register(world, remoting, member(world, 3, "orphan", 1, "west"), topic(world, 0, 0), topic(world, 1, 0));
        register(world, remoting, member(world, 4, "anywhere", 0, null), topic(world, 0, 0), topic(world, 1, 0));

        Check.equal("[near, orphan]", names(world, remoting, Map.of("__ZONE_MODE", "true", "__ZONE_NAME", "EAST")), "of a zone");
        String all = "[anywhere, far, near, orphan]";
        Check.equal("[orphan]", names(world, remoting, Map.of("__ZONE_MODE", "true", "__ZONE_NAME", "north")), "of a zone without brokers");
        Check.equal(all, names(world, remoting, Map.of()), "of none");
        Check.equal(all, names(world, remoting, Map.of("__ZONE_NAME", "east")), "of a zone that is not asked for");
        Check.equal(all, names(world, remoting, Map.of("__ZONE_MODE", "true", "__ZONE_NAME", " ")), "of a zone without a name");
    }

    private static void orderTopics(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        String topic = world.topicName() + 0;
        Map<String, String> order = new HashMap<>(Map.of("namespace", "ORDER_TOPIC_CONFIG", "key", topic, "value", broker(world) + ":4"));
        Check.equal(ResponseCode.SUCCESS, call(world, remoting, RequestCode.PUT_KV_CONFIG, order, null).getCode(), "code of the setting");
        world.onClose(() -> {
            try {
                call(world, remoting, RequestCode.DELETE_KV_CONFIG, order, null);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });

        RemotingCommand response = register(world, remoting, Map.of(), topic(world, 0, 0), topic(world, 1, 0));
        KVTable told = KVTable.decode(response.getBody(), KVTable.class);
        Check.equal(broker(world) + ":4", told.getTable().get(topic), "what its broker is told");
        setNamesrv(world, remoting, "orderMessageEnable=false"); // as it is by default: mqadmin may have set it
        TopicRouteData before = TopicRouteData.decode(route(world, remoting, topic).getBody(), TopicRouteData.class);
        Check.equal(null, before.getOrderTopicConf(), "orderTopicConf without orderMessageEnable");
        namesrvSetting(world, remoting, "orderMessageEnable");
        TopicRouteData after = TopicRouteData.decode(route(world, remoting, topic).getBody(), TopicRouteData.class);
        Check.equal(broker(world) + ":4", after.getOrderTopicConf(), "orderTopicConf");
    }

    private static void actingMaster(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        NettyRemotingClient master = world.remoting();
        register(world, remoting, member(world, 2, "g", 2, null), topic(world, 0, 0), topic(world, 1, 0));
        register(world, remoting, member(world, 1, "g", 1, null), topic(world, 0, 0), topic(world, 1, 0));
        register(world, master, member(world, 0, "g", 0, null), topic(world, 0, 0), topic(world, 1, 0));
        String topic = world.topicName() + 0;
        Check.equal(Map.of(0L, address(0), 1L, address(1), 2L, address(2)), addresses(world, remoting, topic), "the whole group");
        Check.equal(6, queues(world, remoting, topic).getPerm(), "perm with a master");

        master.shutdown();
        Check.eventually(10, "no master", () -> !addresses(world, remoting, topic).containsKey(0L));
        Check.equal(Map.of(1L, address(1), 2L, address(2)), addresses(world, remoting, topic), "without supportActingMaster");
        // the slave that stands in for the master says so with its next registration: what it has can be read, not written
        register(world, remoting, member(world, 1, "g", 1, null), topic(world, 0, 0), topic(world, 1, 0));
        Check.equal(4, queues(world, remoting, topic).getPerm(), "perm without a master");
        namesrvSetting(world, remoting, "supportActingMaster");
        Check.equal(Map.of(0L, address(1), 2L, address(2)), addresses(world, remoting, topic), "with supportActingMaster");
    }

    private static Map<Long, String> addresses(World world, NettyRemotingClient remoting, String topic) throws Exception {
        return TopicRouteData.decode(route(world, remoting, topic).getBody(), TopicRouteData.class).getBrokerDatas().get(0).getBrokerAddrs();
    }

    /** Keys of numbers without quotes, as fastjson 1 wrote and read them, for clients before V4_9_4; for others, and those that ask, with. */
    private static void dialects(World world) throws Exception {
        NettyRemotingClient remoting = world.remoting();
        register(world, remoting, Map.of(), topic(world, 0, 0), topic(world, 1, 0));
        String quoted = "\"brokerAddrs\":{\"0\":\"";
        String bare = "\"brokerAddrs\":{0:\"";
        Object[][] asked = {
            {MQVersion.Version.V4_9_3, false, bare},
            {MQVersion.Version.V4_9_3, true, quoted},
            {MQVersion.Version.V4_9_4, false, quoted},
            {MQVersion.Version.V3_2_6, false, bare}};
        for (Object[] each : asked) {
            Map<String, String> fields = new HashMap<>(Map.of("topic", world.topicName() + 0));
            if ((boolean) each[1]) fields.put("acceptStandardJsonOnly", "true");
            RemotingCommand request = RemotingCommand.createRequestCommand(RequestCode.GET_ROUTEINFO_BY_TOPIC, null);
            request.setVersion(((MQVersion.Version) each[0]).ordinal());
            request.setExtFields(new HashMap<>(fields));
            String body = new String(remoting.invokeSync(world.namesrv, request, 10_000).getBody(), StandardCharsets.UTF_8);
            Check.that(body.contains((String) each[2]), each[0] + ", strict " + each[1] + ": " + body);
        }
        for (int code : new int[] {RequestCode.GET_BROKER_CLUSTER_INFO, RequestCode.GET_BROKER_MEMBER_GROUP}) {
            Map<String, String> group = Map.of("clusterName", "C-" + world.caseName, "brokerName", broker(world));
            String body = new String(call(world, remoting, code, group, null).getBody(), StandardCharsets.UTF_8);
            Check.that(body.contains(bare), "request " + code + ": " + body);
        }
    }
}
