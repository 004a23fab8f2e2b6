package conformance;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs commands of mqadmin one after the other in this process, and prints {"command":"…","printed":"…","ms":12} for each. While they
 * run a producer (P_mqadminOnline) and a consumer (G_mqadminOnline) of a topic are there.
 * Arguments: a file, and the topic. Each line of the file is a command's name in this run and its arguments, divided by tabs; in an
 * argument {{NAME REGEX}} is what the first group of REGEX finds in what the command NAME printed.
 */
public final class AdminShell {

    private static final Pattern SEEN = Pattern.compile("\\{\\{(\\S+) (.+?)}}");

    private static final long COMMAND_MS_MAX = 60_000;

    private AdminShell() {
    }

    public static void main(String[] args) throws Exception {
        String namesrv = System.getenv("NAMESRV_ADDR");
        DefaultMQProducer producer = new DefaultMQProducer("P_mqadminOnline");
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("online");
        producer.start();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("G_mqadminOnline");
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName("online");
        Inbox inbox = new Inbox();
        World.start(consumer, args[1], "*", inbox.listener());
        producer.send(new Message(args[1], "online", World.bytes("online")), new MessageQueue(args[1], "broker-a", 0));
        Check.eventually(World.DELIVERY_SECONDS, "the consumer is there", () -> inbox.size() > 0);
        awaitCommitted(namesrv, consumer.getConsumerGroup());

        PrintStream out = System.out;
        Map<String, String> printed = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            String[] words = line.split("\t", -1);
            for (int i = 1; i < words.length; i++) words[i] = filled(words[i], printed);
            long start = System.nanoTime();
            ByteArrayOutputStream caught = new ByteArrayOutputStream();
            try (PrintStream stream = new PrintStream(caught, true, StandardCharsets.UTF_8)) {
                System.setOut(stream);
                System.setErr(stream);
                Thread command = new Thread(() -> MQAdminStartup.main0(Arrays.copyOfRange(words, 1, words.length), null));
                command.start();
                command.join(COMMAND_MS_MAX);
                if (command.isAlive()) stream.println("it did not end within " + COMMAND_MS_MAX + " ms");
            } catch (Throwable e) {
                caught.writeBytes(World.bytes(e.toString()));
            }
            printed.put(words[0], caught.toString(StandardCharsets.UTF_8));
            out.printf("{\"command\":%s,\"printed\":%s,\"ms\":%d}%n", Main.quoted(words[0]), Main.quoted(printed.get(words[0])),
                (System.nanoTime() - start) / 1_000_000);
        }
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** A consumer commits every few seconds: until it has, what commands print of its progress is a matter of time. */
    private static void awaitCommitted(String namesrv, String group) throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("waiting");
        admin.start();
        try {
            Check.eventually(World.DELIVERY_SECONDS, "the consumer has committed all", () -> admin.examineConsumeStats(group).computeTotalDiff() == 0);
        } finally {
            admin.shutdown();
        }
    }

    private static String filled(String argument, Map<String, String> printed) {
        return SEEN.matcher(argument).replaceAll(found -> {
            Matcher seen = Pattern.compile(found.group(2)).matcher(printed.getOrDefault(found.group(1), ""));
            return Matcher.quoteReplacement(seen.find() ? seen.group(1) : "nothing-found");
        });
    }
}
