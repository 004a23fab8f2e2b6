package conformance;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Runs cases against one cluster, several at a time, and prints one JSON line for each on stdout:
 * {"case":"…","passed":true,"ms":12} with "error" where it failed.
 * Flags: --namesrv HOST:PORT, --broker NAME (broker-a), --only REGEX, --skip REGEX, --prefix TEXT (what stands before a case's name
 * where --only looks), --threads N (4), --case-seconds N (180), --suffix TEXT (for the names of topics and groups, where one
 * cluster is used twice)
 */
public final class Main {

    private Main() {
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) flags.put(args[i].substring(2), args[i + 1]);
        String namesrv = flags.get("namesrv");
        String brokerName = flags.getOrDefault("broker", "broker-a");
        Pattern only = Pattern.compile(flags.getOrDefault("only", ""));
        Pattern skip = Pattern.compile(flags.getOrDefault("skip", "^$"));
        String prefix = flags.getOrDefault("prefix", "");
        String suffix = flags.getOrDefault("suffix", "");
        long caseSeconds = Long.parseLong(flags.getOrDefault("case-seconds", "180"));

        DefaultMQAdminExt admin = new DefaultMQAdminExt(10_000);
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("conformance");
        admin.start();
        String brokerAddr = awaitMaster(admin, brokerName);

        List<Case> cases = new ArrayList<>();
        cases.addAll(SendCases.all());
        cases.addAll(ProducerCases.all());
        cases.addAll(PullCases.all());
        cases.addAll(LitePullCases.all());
        cases.addAll(PushCases.all());
        cases.addAll(ConsumerCases.all());
        cases.addAll(QueryCases.all());
        cases.addAll(AdminCases.all());
        cases.addAll(TransactionCases.all());
        cases.addAll(FilterCases.all());
        cases.addAll(LineCases.all());
        cases.removeIf(c -> !only.matcher(prefix + c.name()).find() || skip.matcher(c.name()).find());

        ExecutorService pool = Executors.newFixedThreadPool(Integer.parseInt(flags.getOrDefault("threads", "4")));
        ExecutorService bodies = Executors.newCachedThreadPool();
        List<Future<Boolean>> results = new ArrayList<>();
        for (Case each : cases) {
            results.add(pool.submit(() -> run(each, bodies, caseSeconds, new World(each.name() + suffix, namesrv, brokerName, brokerAddr, admin))));
        }
        if (cases.isEmpty()) System.out.println("no case has such a name");
        boolean passed = true;
        for (Future<Boolean> result : results) passed &= result.get();
        System.out.flush();
        // Clients leave threads behind that never end; whatever they hold ends with the process.
        Runtime.getRuntime().halt(passed ? 0 : 1);
    }

    private static boolean run(Case each, ExecutorService bodies, long seconds, World world) throws InterruptedException {
        long start = System.nanoTime();
        Future<?> body = bodies.submit(() -> {
            try (world) {
                each.body().run(world);
            }
            return null;
        });
        String error = null;
        try {
            body.get(seconds, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            error = words(e.getCause());
        } catch (TimeoutException e) {
            body.cancel(true);
            error = "did not end within " + seconds + " s";
        }
        String line = String.format("{\"case\":\"%s\",\"passed\":%b,\"ms\":%d%s}", each.name(), error == null,
            (System.nanoTime() - start) / 1_000_000, error == null ? "" : ",\"error\":" + quoted(error));
        synchronized (Main.class) {
            System.out.println(line);
        }
        return error == null;
    }

    private static String awaitMaster(DefaultMQAdminExt admin, String brokerName) throws InterruptedException {
        String[] found = new String[1];
        Check.eventually(60, brokerName + " registered at the NameServer", () -> {
            ClusterInfo info = admin.examineBrokerClusterInfo();
            BrokerData data = info.getBrokerAddrTable().get(brokerName);
            found[0] = data == null ? null : data.getBrokerAddrs().get(0L);
            return found[0] != null;
        });
        return found[0];
    }

    private static String words(Throwable error) {
        StringBuilder all = new StringBuilder();
        for (Throwable e = error; e != null && e != e.getCause(); e = e.getCause()) {
            if (all.length() > 0) all.append(" <- ");
            all.append(e instanceof AssertionError ? e.getMessage() : e.toString());
        }
        for (StackTraceElement at : error.getStackTrace()) {
            if (at.getClassName().startsWith("conformance.") && !at.getClassName().endsWith(".Check")) {
                return all + " at " + at.getFileName() + ":" + at.getLineNumber();
            }
        }
        return all.toString();
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
