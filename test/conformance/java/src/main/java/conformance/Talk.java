package conformance;

import static conformance.World.bytes;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
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
 *   flow    --namesrv A --topic T --group G --prefix P [--pauseMs N (20)]    sends and receives until stdin ends; {} says that it
 *           has begun, each line on stdin asks for a JSON line, told when everything that was acknowledged by then was received, or after S seconds (60)
 */
public final class Talk {

    private Talk() {
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int i = 1; i + 1 < args.length; i += 2) flags.put(args[i].substring(2), args[i + 1]);
        long endNanos = System.nanoTime() + Long.parseLong(flags.getOrDefault("seconds", "120")) * 1_000_000_000L;
        boolean complete = switch (args[0]) {
            case "send" -> send(flags, endNanos);
            case "receive" -> receive(flags, endNanos);
            case "flow" -> flow(flags);
            default -> throw new IllegalArgumentException(args[0]);
        };
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
        Set<String> prefixes = new HashSet<>();
        for (String part : flags.get("expect").split(",")) {
            String[] prefixAndCount = part.split(":");
            prefixes.add(prefixAndCount[0]);
            for (int i = 0; i < Integer.parseInt(prefixAndCount[1]); i++) missing.add(prefixAndCount[0] + i);
        }
        int expected = missing.size();
        Map<String, AtomicInteger> seen = new ConcurrentHashMap<>();
        AtomicLong repeated = new AtomicLong();
        AtomicLong lastAt = new AtomicLong(System.nanoTime());
        DefaultMQPushConsumer consumer = startConsumer(flags, (MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                String text = World.text(message);
                if (prefixes.stream().noneMatch(text::startsWith)) continue; // somebody else's, who may never stop
                lastAt.set(System.nanoTime());
                if (seen.computeIfAbsent(text, t -> new AtomicInteger()).incrementAndGet() > 1) repeated.incrementAndGet();
                missing.remove(text);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, endNanos);
        while ((!missing.isEmpty() || System.nanoTime() - lastAt.get() < 1_000_000_000L) && System.nanoTime() < endNanos) Thread.sleep(50);
        consumer.shutdown();
        System.out.printf("{\"expected\":%d,\"missing\":%d,\"repeated\":%d,\"someMissing\":%s}%n", expected, missing.size(), repeated.get(),
            Main.quoted(String.join(" ", missing.stream().sorted().limit(5).toList())));
        return missing.isEmpty();
    }

    /** What a flow was told by its producer: guarded by itself. */
    private static final class Told {
        int acked;
        int refusals;
        long longestMs;
        String lastRefusal = "";
    }

    private static boolean flow(Map<String, String> flags) throws Exception {
        String prefix = flags.get("prefix");
        long pauseMs = Long.parseLong(flags.getOrDefault("pauseMs", "20"));
        long settleNanos = Long.parseLong(flags.getOrDefault("seconds", "60")) * 1_000_000_000L;
        Set<String> received = ConcurrentHashMap.newKeySet();
        AtomicLong repeated = new AtomicLong();
        startConsumer(flags, (MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                String text = World.text(message);
                if (text.startsWith(prefix) && !received.add(text)) repeated.incrementAndGet();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, System.nanoTime() + settleNanos);
        DefaultMQProducer producer = new DefaultMQProducer("flow");
        producer.setNamesrvAddr(flags.get("namesrv"));
        producer.setPollNameServerInterval(2000);
        producer.start();
        Told told = new Told();
        Thread sender = new Thread(() -> send(producer, flags.get("topic"), prefix, pauseMs, told));
        sender.setDaemon(true);
        sender.start();
        System.out.println("{}"); // it has begun
        System.out.flush();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (commands.readLine() != null) {
            int acked;
            synchronized (told) {
                acked = told.acked;
            }
            long endNanos = System.nanoTime() + settleNanos;
            int missing = 0;
            String someMissing = "";
            int from = 0; // all before it have been received
            do {
                while (from < acked && received.contains(prefix + from)) from++;
                missing = 0;
                StringBuilder some = new StringBuilder();
                for (int i = from; i < acked; i++) {
                    if (!received.contains(prefix + i) && missing++ < 5) some.append(' ').append(prefix).append(i);
                }
                someMissing = some.toString().trim();
                if (missing > 0) Thread.sleep(50);
            } while (missing > 0 && System.nanoTime() < endNanos);
            synchronized (told) {
                System.out.printf("{\"acked\":%d,\"missing\":%d,\"repeated\":%d,\"refusals\":%d,\"longestMs\":%d,\"someMissing\":%s,\"lastRefusal\":%s}%n",
                    acked, missing, repeated.get(), told.refusals, told.longestMs, Main.quoted(someMissing), Main.quoted(told.lastRefusal));
                told.longestMs = 0;
                told.refusals = 0;
                told.lastRefusal = "";
            }
            System.out.flush();
        }
        return true;
    }

    /** A consumer asks a NameServer as it starts, and fails where that does not answer in 3 s: on a busy machine, so again. */
    private static DefaultMQPushConsumer startConsumer(Map<String, String> flags, MessageListenerConcurrently listener, long endNanos)
        throws Exception {
        for (;;) {
            DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(flags.get("group"));
            consumer.setNamesrvAddr(flags.get("namesrv"));
            consumer.setPollNameServerInterval(2000); // as a client that is to find brokers soon is set
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            consumer.subscribe(flags.get("topic"), "*");
            consumer.registerMessageListener(listener);
            try {
                consumer.start();
                return consumer;
            } catch (Exception e) {
                if (System.nanoTime() > endNanos) throw e;
                consumer.shutdown();
                Thread.sleep(1000);
            }
        }
    }

    /** Sends one message after the other, each until it is acknowledged. */
    private static void send(DefaultMQProducer producer, String topic, String prefix, long pauseMs, Told told) {
        for (int i = 0; ; i++) {
            long began = System.nanoTime();
            for (boolean isAcked = false; !isAcked; ) {
                String refusal = null;
                try {
                    SendResult result = producer.send(new Message(topic, bytes(prefix + i)));
                    isAcked = result.getSendStatus() == SendStatus.SEND_OK;
                    if (!isAcked) refusal = result.getSendStatus().name();
                } catch (Exception e) {
                    refusal = String.valueOf(e.getMessage());
                }
                synchronized (told) {
                    if (isAcked) told.acked = i + 1;
                    else told.refusals++;
                    if (refusal != null) told.lastRefusal = refusal;
                    told.longestMs = Math.max(told.longestMs, (System.nanoTime() - began) / 1_000_000L);
                }
                try {
                    Thread.sleep(isAcked ? pauseMs : 200);
                } catch (InterruptedException e) {
                    return;
                }
            }
        }
    }
}
