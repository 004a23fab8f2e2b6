import com.alibaba.fastjson2.JSONWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.protocol.DataVersion;
import org.apache.rocketmq.remoting.protocol.body.RegisterBrokerBody;
import org.apache.rocketmq.remoting.protocol.body.TopicConfigAndMappingSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.body.TopicConfigSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingInfo;

/**
 * Writes bodies of registrations and routes as Apache encodes them, static topics and odd names among them: one JSON line
 * each. Run by test/contract/record-headers.ts.
 */
public class Bodies {
    public static void main(String[] none) throws Exception {
        TopicConfigAndMappingSerializeWrapper wrapper = new TopicConfigAndMappingSerializeWrapper();
        version(wrapper.getDataVersion(), 7);
        version(wrapper.getMappingDataVersion(), 3);
        topics(wrapper);
        TopicQueueMappingInfo mapping = new TopicQueueMappingInfo("Static", 3, "broker-ü", 5);
        mapping.getCurrIdMap().put(0, 1);
        mapping.getCurrIdMap().put(2, 0);
        wrapper.getTopicQueueMappingInfoMap().put("Static", mapping);
        RegisterBrokerBody body = new RegisterBrokerBody();
        body.setTopicConfigSerializeWrapper(wrapper);
        body.setFilterServerList(new ArrayList<>(Arrays.asList("10.0.0.9:1")));
        print("registration", body.encode(false));
        print("registrationCompressed", body.encode(true));

        TopicConfigSerializeWrapper old = new TopicConfigSerializeWrapper();
        version(old.getDataVersion(), 7);
        topics(old);
        print("registrationBeforeV3_0_11", old.encode());

        TopicRouteData route = new TopicRouteData();
        HashMap<Long, String> addrs = new HashMap<>();
        addrs.put(0L, "10.0.0.1:10911");
        addrs.put(1L, "10.0.0.2:10911");
        BrokerData broker = new BrokerData("C/\"1\"", "broker-ü", addrs, true);
        broker.setZoneName("z");
        route.setBrokerDatas(new ArrayList<>(Arrays.asList(broker)));
        QueueData queue = new QueueData();
        queue.setBrokerName("broker-ü");
        queue.setPerm(6);
        queue.setReadQueueNums(4);
        queue.setWriteQueueNums(5);
        queue.setTopicSysFlag(1);
        route.setQueueDatas(new ArrayList<>(Arrays.asList(queue)));
        HashMap<String, java.util.List<String>> filters = new HashMap<>();
        filters.put("10.0.0.1:10911", Arrays.asList("10.0.0.9:1"));
        route.setFilterServerTable(filters);
        route.setOrderTopicConf("broker-ü:4");
        HashMap<String, TopicQueueMappingInfo> mappings = new HashMap<>();
        mappings.put("broker-ü", mapping);
        route.setTopicQueueMappingByBroker(mappings);
        print("routeLenient", route.encode());
        print("routeStrict", route.encode(JSONWriter.Feature.BrowserCompatible, JSONWriter.Feature.MapSortField));
        System.exit(0);
    }

    private static void version(DataVersion version, long counter) {
        version.setCounter(new AtomicLong(counter));
        version.setStateVersion(2);
        version.setTimestamp(1700000000000L);
    }

    private static void topics(TopicConfigSerializeWrapper wrapper) {
        TopicConfig plain = new TopicConfig("Plain", 4, 5, 6, 1);
        TopicConfig typed = new TopicConfig("Typed \"ü\"\\", 1, 2, 4);
        typed.getAttributes().put("message.type", "DELAY {\"x\"}, }");
        TopicConfig fixed = new TopicConfig("Static", 3, 3);
        fixed.setOrder(true);
        for (TopicConfig topic : Arrays.asList(plain, typed, fixed)) {
            wrapper.getTopicConfigTable().put(topic.getTopicName(), topic);
        }
    }

    private static void print(String name, byte[] body) {
        StringBuilder hex = new StringBuilder();
        for (byte one : body) hex.append(String.format("%02x", one));
        System.out.println("{\"body\":\"" + name + "\",\"hex\":\"" + hex + "\"}");
    }
}
