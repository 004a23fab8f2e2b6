package conformance;

import static conformance.World.bytes;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Sends numbered messages, or receives and counts them; one JSON line on stdout. Every run is bounded in time.
 *   send    --namesrv A --topic T --prefix P --count N [--seconds S (120)]    P0…P(N-1); one that is refused is sent again until
 *           it is acknowledged or the time is up
 *   receive --namesrv A --topic T --group G --expect P:N[,P:N…] [--seconds S (120)]    until all of them were received,
 *           and nothing more for a second: what a producer had to send twice may be there twice
 */
public final class Talk {

    private Talk() {
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int i = 1; i + 1 < args.length; i += 2) flags.put(args[i].substring(2), args[i + 1]);
        long endNanos = System.nanoTime() + Long.parseLong(flags.getOrDefault("seconds", "120")) * 1_000_000_000L;
        boolean complete = args[0].equals("send") ? send(flags, endNanos) : receive(flags, endNanos);
        System.out.flush();
        Runtime.getRuntime().halt(complete ? 0 : 1);
    }

    private static boolean send(Map<String, String> flags, long endNanos) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("talk");
        producer.setNamesrvAddr(flags.get("namesrv"));
        producer.start();
        int count = Integer.parseInt(flags.get("count"));
        int acked = 0;
        int refusals = 0;
        String lastRefusal = "";
        Map<String, Integer> perBroker = new TreeMap<>();
        Set<String> queues = new HashSet<>();
        while (acked < count && System.nanoTime() < endNanos) {
            try {
                SendResult result = producer.send(new Message(flags.get("topic"), bytes(flags.get("prefix") + acked)));
                if (result.getSendStatus() != SendStatus.SEND_OK) throw new IllegalStateException(result.getSendStatus().name());
                acked++;
                perBroker.merge(result.getMessageQueue().getBrokerName(), 1, Integer::sum);
                queues.add(result.getMessageQueue().getBrokerName() + "/" + result.getMessageQueue().getQueueId());
            } catch (Exception e) {
                refusals++;
                lastRefusal = String.valueOf(e.getMessage());
                Thread.sleep(200);
            }
        }
        producer.shutdown();
        StringBuilder brokers = new StringBuilder();
        perBroker.forEach((name, n) -> brokers.append(brokers.length() == 0 ? "" : ",").append('"').append(name).append("\":").append(n));
        System.out.printf("{\"acked\":%d,\"refusals\":%d,\"queues\":%d,\"perBroker\":{%s},\"lastRefusal\":%s}%n", acked, refusals, queues.size(),
            brokers, Main.quoted(lastRefusal));
        return acked == count;
    }

    private static boolean receive(Map<String, String> flags, long endNanos) throws Exception {
        Set<String> missing = ConcurrentHashMap.newKeySet();
        for (String part : flags.get("expect").split(",")) {
            String[] prefixAndCount = part.split(":");
            for (int i = 0; i < Integer.parseInt(prefixAndCount[1]); i++) missing.add(prefixAndCount[0] + i);
        }
        int expected = missing.size();
        Map<String, AtomicInteger> seen = new ConcurrentHashMap<>();
        AtomicLong repeated = new AtomicLong();
        AtomicLong lastAt = new AtomicLong(System.nanoTime());
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(flags.get("group"));
        consumer.setNamesrvAddr(flags.get("namesrv"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(flags.get("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            lastAt.set(System.nanoTime());
            for (MessageExt message : messages) {
                String text = World.text(message);
                if (seen.computeIfAbsent(text, t -> new AtomicInteger()).incrementAndGet() > 1) repeated.incrementAndGet();
                missing.remove(text);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        while ((!missing.isEmpty() || System.nanoTime() - lastAt.get() < 1_000_000_000L) && System.nanoTime() < endNanos) Thread.sleep(50);
        consumer.shutdown();
        System.out.printf("{\"expected\":%d,\"missing\":%d,\"repeated\":%d,\"someMissing\":%s}%n", expected, missing.size(), repeated.get(),
            Main.quoted(String.join(" ", missing.stream().sorted().limit(5).toList())));
        return missing.isEmpty();
    }
}
