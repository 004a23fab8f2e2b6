import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/**
 * The load client (Load, over Apache's Java client) in a process that stays: a fresh one costs three times as much CPU a
 * message until it is compiled, and hides the brokers. Reads a line `COMMAND --flag value …` from stdin and answers it with one
 * JSON line; `{"failure": …}` when the command threw. Ends when its input does.
 */
public class Serve {

    public static void main(String[] args) throws Exception {
        System.setProperty(RemotingCommand.SERIALIZE_TYPE_PROPERTY, "JSON");
        PrintStream answers = System.out;
        System.setOut(System.err); // what libraries print must not pass for an answer
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            answers.println(Load.json(answer(line.trim().split(" +"))));
        }
        System.exit(0);
    }

    static Map<String, Object> answer(String[] words) {
        Load.flags.clear();
        for (int i = 1; i + 1 < words.length; i += 2) Load.flags.put(words[i].substring(2), words[i + 1]);
        try {
            switch (words[0]) {
                case "send": return send();
                case "consume": return Load.consume();
                case "e2e": return Load.e2e();
                case "await": return Load.await();
                default: throw new IllegalArgumentException("no command: " + words[0]);
            }
        } catch (Throwable e) {
            Map<String, Object> failure = new LinkedHashMap<>();
            failure.put("failure", String.valueOf(e));
            return failure;
        }
    }

    static Map<String, Object> send() throws Exception {
        Load.Sender sender = new Load.Sender(Load.str("topic", "LoadTest"));
        try {
            return sender.go(Load.seconds("warmup", 0), Load.seconds("seconds", 10), new Load.Watch());
        } finally {
            sender.close();
        }
    }
}
