import java.util.concurrent.CountDownLatch;

/** The same number and depth of threads as in `tests/programs/crowd.rs`, for jstack. `java Crowd.java THREADS DEPTH` */
public class Crowd {
    /** Frames of the library around the recursion: five above, two below. */
    static final int AROUND = 7;

    public static void main(String[] arguments) throws Exception {
        int threads = Integer.parseInt(arguments[0]);
        int depth = Integer.parseInt(arguments[1]) - AROUND;
        CountDownLatch there = new CountDownLatch(threads - 1);
        CountDownLatch end = new CountDownLatch(1);
        for (int number = 1; number < threads; number++) {
            Thread thread = new Thread(null, () -> descend(depth, there, end), "crowd-" + number, 256 << 10);
            thread.setDaemon(true);
            thread.start();
        }
        there.await();
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
    }

    static int descend(int depth, CountDownLatch there, CountDownLatch end) {
        if (depth > 0) {
            return descend(depth - 1, there, end) + 1;
        }
        there.countDown();
        try {
            end.await();
        } catch (InterruptedException interrupted) {
            // It ends.
        }
        return 0;
    }
}
