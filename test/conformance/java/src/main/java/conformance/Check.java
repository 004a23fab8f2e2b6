package conformance;

import java.util.Objects;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;

/** What a case says about what it saw. */
final class Check {

    private Check() {
    }

    interface Attempt {
        void run() throws Exception;
    }

    interface Probe {
        boolean holds() throws Exception;
    }

    static void that(boolean holds, String rule) {
        if (!holds) throw new AssertionError(rule);
    }

    static void equal(Object expected, Object seen, String what) {
        if (!Objects.equals(expected, seen)) throw new AssertionError(what + ": expected " + expected + ", saw " + seen);
    }

    /** The attempt must fail with this response code, at the broker or in the client's words for it. */
    static void refused(int code, Attempt attempt) throws Exception {
        try {
            attempt.run();
        } catch (MQBrokerException e) {
            equal(code, e.getResponseCode(), "response code of the broker (" + e.getErrorMessage() + ")");
            return;
        } catch (MQClientException e) {
            equal(code, e.getResponseCode(), "response code seen by the client (" + e.getErrorMessage() + ")");
            return;
        }
        throw new AssertionError("expected response code " + code + ", but it succeeded");
    }

    /** Polls until the probe holds; a probe that throws does not hold yet. */
    static void eventually(int seconds, String what, Probe probe) throws InterruptedException {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        Throwable last = null;
        for (;;) {
            try {
                last = null;
                if (probe.holds()) return;
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                last = e;
            }
            if (System.nanoTime() > end) throw new AssertionError("not within " + seconds + " s: " + what, last);
            Thread.sleep(20);
        }
    }
}
