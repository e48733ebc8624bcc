//! Threads that wait, sleep, compute, come and go.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Mode, pace, spawn};

pub(crate) const MODES: &[Mode] = &[
    ("parked", "parked threads", false, parked),
    ("sleepers", "threads that sleep, for an hour and for a moment", false, sleepers),
    ("timers", "threads that wake up at intervals", false, timers),
    ("busy-pool", "a pool of threads that compute", true, busy_pool),
    ("barrier", "threads that meet at a barrier, again and again", false, barrier),
    ("scoped-join", "a scope that waits for its threads", false, scoped_join),
    ("joins", "threads that wait for each other's end, in a chain", false, joins),
    ("churn", "threads that end as soon as they are started", true, churn),
    ("destructors", "thread-local values whose destructors take long", false, destructors),
    ("rayon-idle", "an idle pool of rayon", false, rayon_idle),
    ("rayon-busy", "a pool of rayon that computes", true, rayon_busy),
    ("yielding", "threads that yield and sleep in turns", true, yielding),
];

fn parked() {
    for number in 0..8 {
        spawn(&format!("parked-{number}"), || {
            loop {
                thread::park();
            }
        });
    }
}

fn sleepers() {
    for number in 0..4 {
        spawn(&format!("sleeper-{number}"), || thread::sleep(Duration::from_hours(1)));
    }
    spawn("napper", || {
        loop {
            thread::sleep(Duration::from_millis(2));
        }
    });
}

fn timers() {
    for interval in [1, 10, 100, 1_000] {
        spawn(&format!("every-{interval}"), move || {
            let mut next = Instant::now();
            loop {
                next += Duration::from_millis(interval);
                thread::park_timeout(next.saturating_duration_since(Instant::now()));
            }
        });
    }
}

/// Something to compute for some hundred microseconds.
#[inline(never)]
fn compute(seed: u64) -> u64 {
    (0..100_000).fold(seed, |sum, number| black_box(sum.rotate_left(7) ^ number))
}

fn busy_pool() {
    for number in 0..3 {
        spawn(&format!("busy-{number}"), move || {
            let mut seed = number;
            loop {
                seed = compute(seed);
                pace();
            }
        });
    }
}

fn barrier() {
    let barrier = Arc::new(Barrier::new(4));
    for number in 0..4 {
        let barrier = Arc::clone(&barrier);
        spawn(&format!("meets-{number}"), move || {
            loop {
                thread::sleep(Duration::from_millis(number));
                barrier.wait();
            }
        });
    }
}

fn scoped_join() {
    spawn("scope", || {
        loop {
            thread::scope(|scope| {
                for number in 0..3 {
                    scope.spawn(move || thread::sleep(Duration::from_millis(20 * number)));
                }
            });
        }
    });
    spawn("long-scope", || {
        let (_open, receiver) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || receiver.recv().is_ok());
        });
    });
}

fn joins() {
    let mut last = thread::spawn(|| {
        loop {
            thread::park();
        }
    });
    for _ in 0..4 {
        let before = last;
        last = thread::spawn(move || drop(before.join()));
    }
    spawn("joins-last", move || drop(last.join()));
}

fn churn() {
    for number in 0..2 {
        spawn(&format!("churn-{number}"), || {
            loop {
                let started = (0..8).map(|number| thread::spawn(move || black_box(compute(number))));
                for thread in started.collect::<Vec<_>>() {
                    thread.join().expect("it does not panic");
                }
                thread::sleep(Duration::from_millis(1));
                pace();
            }
        });
    }
}

/// A value whose destructor takes long.
struct Slow(Duration);

impl Drop for Slow {
    fn drop(&mut self) {
        thread::sleep(self.0);
    }
}

fn destructors() {
    thread_local!(static SLOW: RefCell<Option<Slow>> = const { RefCell::new(None) });
    let with = |time| move || SLOW.set(Some(Slow(time)));
    spawn("ends-late", with(Duration::from_hours(1)));
    spawn("ends-often", move || {
        loop {
            thread::spawn(with(Duration::from_millis(5))).join().expect("it does not panic");
        }
    });
}

fn pool(name: &'static str) -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3);
    pool.thread_name(move |number| format!("{name}-{number}")).build().expect("a pool")
}

fn rayon_idle() {
    let pool = pool("rayon-idle");
    pool.install(|| black_box(rayon::join(|| compute(1), || compute(2))));
    std::mem::forget(pool);
}

fn rayon_busy() {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    let pool = pool("rayon-busy");
    spawn("installs", move || {
        loop {
            let sum: u64 = pool.install(|| (0..64_u64).into_par_iter().map(compute).sum());
            black_box(sum);
            pace();
        }
    });
}

fn yielding() {
    for number in 0..2 {
        spawn(&format!("yields-{number}"), || {
            loop {
                for _ in 0..100 {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(1));
                pace();
            }
        });
    }
}
