//! Threads that lock, in the ways that look most like a deadlock.

use std::hint::black_box;
use std::io::Read;
use std::sync::{Arc, Condvar, LazyLock, Mutex, Once, OnceLock, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::{Mode, pace, spawn};

pub(crate) const MODES: &[Mode] = &[
    ("passed-around", "a lock that 16 threads pass around quickly", true, passed_around),
    ("readers", "readers under a `RwLock`, and a writer now and then", false, readers),
    ("long-read", "readers that keep a `RwLock`, and a writer that waits for them", false, long_read),
    ("held-before", "a thread that once held the lock for which others wait", false, held_before),
    ("slow-read", "a lock that is held across a read from a pipe", false, slow_read),
    ("held-in-recv", "a lock that is held across a wait for a message", false, held_in_recv),
    ("held-in-join", "a lock that is held across a join", false, held_in_join),
    ("nested", "nested locks in the same order, all the time", true, nested),
    (
        "hand-over-hand",
        "a chain of locks: each is released after the next one is locked",
        true,
        hand_over_hand,
    ),
    ("try-lock", "both orders, with `try_lock` for the second one", false, try_lock),
    ("once", "a slow `Once`, and threads that wait for it", false, once),
    ("lazy", "a slow `LazyLock`, and threads that wait for it", false, lazy),
    ("poisoned", "a lock that is poisoned, and used", false, poisoned),
    ("semaphore", "a semaphore of a `Mutex` and a `Condvar`", false, semaphore),
    ("stdout", "threads that lock the standard output, one of them for long", false, standard_output),
];

fn passed_around() {
    let sum: Arc<Mutex<u64>> = Arc::default();
    for number in 0..16 {
        let sum = Arc::clone(&sum);
        spawn(&format!("passes-{number}"), move || {
            loop {
                *sum.lock().unwrap() += 1;
                pace();
            }
        });
    }
}

fn readers() {
    let prices: Arc<RwLock<Vec<u64>>> = Arc::new(RwLock::new(vec![1; 100]));
    for number in 0..6 {
        let prices = Arc::clone(&prices);
        spawn(&format!("reads-{number}"), move || {
            loop {
                let read = prices.read().unwrap();
                black_box(read.iter().sum::<u64>());
                thread::sleep(Duration::from_millis(number));
                drop(read);
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
    spawn("writes", move || {
        loop {
            prices.write().unwrap()[7] += 1;
            thread::sleep(Duration::from_millis(5));
        }
    });
}

fn long_read() {
    let prices: Arc<RwLock<Vec<u64>>> = Arc::default();
    let (has_read, reads) = mpsc::channel();
    for number in 0..3 {
        let (prices, has_read) = (Arc::clone(&prices), has_read.clone());
        spawn(&format!("long-read-{number}"), move || {
            let read = prices.read().unwrap();
            has_read.send(()).expect("it is waited for");
            loop {
                black_box(read.len());
                thread::park();
            }
        });
    }
    (0..3).for_each(|_| reads.recv().expect("it reads"));
    spawn("long-write", move || prices.write().unwrap().push(1));
}

/// What a thread may do that holds a lock, or has held it.
type Shared = Arc<(Mutex<u64>, Mutex<u64>)>;

/// Reads from a pipe into which nobody writes.
#[inline(never)]
fn read_slowly() -> u64 {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    reader.read(&mut [0; 8]).expect("nobody writes") as u64
}

fn held_before() {
    let shared: Shared = Arc::default();
    let (held, is_held) = mpsc::channel();
    let same = Arc::clone(&shared);
    spawn("held-before", move || {
        {
            let mut first = same.0.lock().unwrap();
            *first += 1;
        }
        held.send(()).expect("it is waited for");
        black_box(&same.0);
        read_slowly();
    });
    is_held.recv().expect("it locks");
    let (held, is_held) = mpsc::channel();
    let same = Arc::clone(&shared);
    spawn("holds-now", move || {
        let mut first = same.0.lock().unwrap();
        held.send(()).expect("it is waited for");
        *first += read_slowly();
    });
    is_held.recv().expect("it locks");
    spawn("waits-for-it", move || *shared.0.lock().unwrap() += 1);
}

fn slow_read() {
    let shared: Shared = Arc::default();
    let (held, is_held) = mpsc::channel();
    let same = Arc::clone(&shared);
    spawn("slow-read", move || {
        let mut first = same.0.lock().unwrap();
        held.send(()).expect("it is waited for");
        *first += read_slowly();
    });
    is_held.recv().expect("it locks");
    for number in 0..4 {
        let shared = Arc::clone(&shared);
        spawn(&format!("after-read-{number}"), move || *shared.0.lock().unwrap() += 1);
    }
}

fn held_in_recv() {
    let shared: Shared = Arc::default();
    let (held, is_held) = mpsc::channel();
    let (sender, receiver) = mpsc::channel();
    let same = Arc::clone(&shared);
    spawn("holds-in-recv", move || {
        let mut first = same.0.lock().unwrap();
        held.send(()).expect("it is waited for");
        while let Ok(number) = receiver.recv() {
            *first += number;
        }
    });
    is_held.recv().expect("it locks");
    let same = Arc::clone(&shared);
    spawn("sends-slowly", move || {
        while sender.send(1_u64).is_ok() {
            // Another lock than the one that is held.
            *same.1.lock().unwrap() += 1;
            thread::sleep(Duration::from_millis(30));
        }
    });
    spawn("waits-for-it", move || *shared.0.lock().unwrap() += 1);
}

fn held_in_join() {
    let shared: Shared = Arc::default();
    spawn("holds-in-join", {
        let shared = Arc::clone(&shared);
        move || {
            loop {
                let mut first = shared.0.lock().unwrap();
                let working = thread::spawn(|| thread::sleep(Duration::from_millis(30)));
                working.join().expect("it does not panic");
                *first += 1;
            }
        }
    });
    spawn("waits-for-it", move || {
        loop {
            *shared.0.lock().unwrap() += 1;
            thread::sleep(Duration::from_millis(1));
        }
    });
}

fn nested() {
    let locks: Arc<[Mutex<u64>; 3]> = Arc::default();
    for number in 0..4 {
        let locks = Arc::clone(&locks);
        spawn(&format!("nested-{number}"), move || {
            loop {
                let mut outer = locks[0].lock().unwrap();
                let mut middle = locks[1].lock().unwrap();
                let mut inner = locks[2].lock().unwrap();
                *inner += 1;
                *middle += *inner;
                *outer += *middle & 1;
                drop((inner, middle, outer));
                pace();
            }
        });
    }
}

fn hand_over_hand() {
    let chain: Arc<Vec<Mutex<u64>>> = Arc::new((0..8).map(Mutex::new).collect());
    for number in 0..4 {
        let chain = Arc::clone(&chain);
        spawn(&format!("hand-{number}"), move || {
            loop {
                let mut held = chain[0].lock().unwrap();
                for next in &chain[1..] {
                    let next = next.lock().unwrap();
                    *held += 1;
                    // The one before is released here.
                    held = next;
                }
                drop(held);
                pace();
            }
        });
    }
}

fn try_lock() {
    let shared: Shared = Arc::default();
    for is_first in [true, false] {
        let shared = Arc::clone(&shared);
        spawn(if is_first { "tries-one" } else { "tries-other" }, move || {
            let (first, second) = if is_first { (&shared.0, &shared.1) } else { (&shared.1, &shared.0) };
            loop {
                let mut held = first.lock().unwrap();
                thread::sleep(Duration::from_millis(1));
                if let Ok(mut other) = second.try_lock() {
                    *other += 1;
                    *held += 1;
                }
                drop(held);
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

fn once() {
    static STARTED: Once = Once::new();
    static CELL: OnceLock<u64> = OnceLock::new();
    for number in 0..3 {
        spawn(&format!("once-{number}"), || {
            STARTED.call_once(|| {
                black_box(read_slowly());
            });
        });
        spawn(&format!("cell-{number}"), || {
            black_box(CELL.get_or_init(read_slowly));
        });
    }
}

fn lazy() {
    static TABLE: LazyLock<u64> = LazyLock::new(read_slowly);
    for number in 0..3 {
        spawn(&format!("lazy-{number}"), || {
            black_box(*TABLE);
        });
    }
}

fn poisoned() {
    let shared: Shared = Arc::default();
    let same = Arc::clone(&shared);
    let panics = move || {
        let _held = same.0.lock().unwrap();
        // Without the hook, which would print to where the reports go.
        std::panic::resume_unwind(Box::new(()));
    };
    drop(thread::spawn(panics).join());
    for number in 0..3 {
        let shared = Arc::clone(&shared);
        spawn(&format!("poisoned-{number}"), move || {
            loop {
                let mut held = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                *held += 1;
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

fn semaphore() {
    let permits: Arc<(Mutex<usize>, Condvar)> = Arc::new((Mutex::new(2), Condvar::new()));
    for number in 0..6 {
        let permits = Arc::clone(&permits);
        spawn(&format!("permit-{number}"), move || {
            loop {
                let free = permits.0.lock().unwrap();
                *permits.1.wait_while(free, |free| *free == 0).unwrap() -= 1;
                thread::sleep(Duration::from_millis(3));
                *permits.0.lock().unwrap() += 1;
                permits.1.notify_one();
            }
        });
    }
}

/// `Stdout` itself is what the test listens to: it is locked, and nothing is written to it.
fn standard_output() {
    for number in 0..3 {
        spawn(&format!("out-{number}"), move || {
            loop {
                let out = std::io::stdout().lock();
                thread::sleep(Duration::from_millis(5 * number));
                drop(black_box(out));
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}
