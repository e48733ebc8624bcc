//! The tokio runtimes that reports describe: those that tracked tasks were spawned on, and those
//! that the program added. Nothing here spawns a task or stops a runtime.
//!
//! Each has a number, which is found without a lock: starting a task on a runtime that is known
//! takes none. A handle keeps the descriptors of its runtime's driver open. So whenever a runtime
//! is added, gmr lets go of those that may have been dropped. One that was only idle between two
//! calls of `block_on` is added again with the next task that is tracked on it.

use std::hash::{Hash as _, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, Id, RuntimeFlavor, RuntimeMetrics};

use super::counts::{self, MOST, Number, Tracked, UNKNOWN, uncounted};
use super::entry::clock;
use crate::sys::forked_lock::lock_within;

/// Longer than any thread holds the lock.
const LOCKED_WITHIN: Duration = Duration::from_millis(100);

/// How long a runtime without a place waits before it looks for one again, in milliseconds.
const FULL_FOR: u64 = 1_000;

/// No runtime has this key.
const FREE: u64 = 0;

static RUNTIMES: Runtimes = Runtimes::none();

/// The runtimes that are kept. The index of each is its number minus one.
struct Runtimes {
    watched: Mutex<[Option<Watched>; MOST]>,
    /// Their keys, which are changed under the lock; [`FREE`] for the other places.
    keys: [AtomicU64; MOST],
    /// Until when a runtime without a place need not look for one, by [`clock`].
    full_until: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) number: Number,
    pub(super) handle: Handle,
    /// Whether the program has added it, so that it is kept until the process ends.
    is_pinned: bool,
}

impl Runtimes {
    const fn none() -> Self {
        Self {
            watched: Mutex::new([const { None }; MOST]),
            keys: [const { AtomicU64::new(FREE) }; MOST],
            full_until: AtomicU64::new(0),
        }
    }

    /// Adds this runtime, and returns its number. Takes a lock only if it is not known.
    fn number(&self, handle: &Handle, tracked: fn() -> Option<Tracked>) -> Number {
        let key = key(handle.id());
        let is_full = || self.full_until.load(Ordering::Relaxed) > clock();
        match self.find(key) {
            Some(index) => number_of(index),
            None if is_full() => UNKNOWN,
            None => self.add(handle, false, tracked),
        }
    }

    /// A place that is given to another runtime at this moment makes one task count for the wrong
    /// one. So fewer untracked tasks are found than there are, which is a lower bound all the same.
    fn find(&self, key: u64) -> Option<usize> {
        self.keys.iter().position(|other| other.load(Ordering::Relaxed) == key)
    }

    #[cold]
    fn add(&self, handle: &Handle, is_pinned: bool, tracked: fn() -> Option<Tracked>) -> Number {
        let key = key(handle.id());
        // In a forked child, the lock of a thread of the parent stays locked.
        let Some(mut watched) = lock_within(&self.watched, LOCKED_WITHIN) else { return UNKNOWN };
        if let Some(index) = self.find(key) {
            if let Some(watched) = &mut watched[index] {
                watched.is_pinned |= is_pinned;
            }
            return number_of(index);
        }
        let forgotten = self.forget(&mut watched, tracked);
        let free = watched.iter().position(Option::is_none);
        let number = free.map_or(UNKNOWN, number_of);
        if let Some(index) = free {
            watched[index] = Some(Watched { number, handle: handle.clone(), is_pinned });
            self.keys[index].store(key, Ordering::Relaxed);
        } else {
            self.full_until.store(clock() + FULL_FOR, Ordering::Relaxed);
        }
        drop(watched);
        // Outside of the lock: the last handle of a runtime closes its descriptors, and drops what
        // the program has given to it.
        drop(forgotten);
        number
    }

    /// Removes the runtimes that may have been dropped, if no tracked task is on them.
    fn forget(
        &self,
        watched: &mut [Option<Watched>; MOST],
        tracked: fn() -> Option<Tracked>,
    ) -> Vec<Watched> {
        let may_go = |watched: &Watched| !watched.is_pinned && may_be_dropped(&watched.handle.metrics());
        if !watched.iter().flatten().any(may_go) {
            return Vec::new();
        }
        let Some(tracked) = tracked() else { return Vec::new() };
        let is_unused = |watched: &Watched| !tracked.is_used[usize::from(watched.number)];
        let places = watched.iter_mut().zip(&self.keys);
        places
            .filter_map(|(place, key)| {
                let forgotten = place.take_if(|watched| may_go(watched) && is_unused(watched))?;
                key.store(FREE, Ordering::Relaxed);
                Some(forgotten)
            })
            .collect()
    }
}

/// A number that identifies the runtime. tokio shows it only as text, and to a hasher.
fn key(id: Id) -> u64 {
    struct Key(u64);
    impl Hasher for Key {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
            }
        }

        fn write_u64(&mut self, number: u64) {
            self.0 = number;
        }

        fn finish(&self) -> u64 {
            self.0.max(FREE + 1)
        }
    }
    let mut hasher = Key(FREE);
    id.hash(&mut hasher);
    hasher.finish()
}

fn number_of(index: usize) -> Number {
    Number::try_from(index + 1).unwrap_or(UNKNOWN)
}

/// Whether the runtime has no task and no worker that waits for one: it was dropped, it is between
/// two calls of `block_on`, or all that it does is to poll the future of one. tokio does not tell.
pub(super) fn may_be_dropped(metrics: &RuntimeMetrics) -> bool {
    // The number is odd while the worker is parked.
    let is_parked = |worker| !metrics.worker_park_unpark_count(worker).is_multiple_of(2);
    metrics.num_alive_tasks() == 0
        && metrics.global_queue_depth() == 0
        && !(0..metrics.num_workers()).any(is_parked)
}

/// Adds the calling thread's runtime, if it has one, and returns its number.
pub(crate) fn notice() -> Number {
    Handle::try_current().map_or(UNKNOWN, |handle| number(&handle))
}

/// Adds the calling thread's runtime, and returns the number for a task that is spawned by
/// `spawn_local` there. It is one of a `LocalSet`, or of a `LocalRuntime`, which has a single
/// thread.
pub(super) fn number_of_local() -> Number {
    let Ok(handle) = Handle::try_current() else { return UNKNOWN };
    let number = number(&handle);
    if handle.runtime_flavor() == RuntimeFlavor::MultiThread { uncounted(number) } else { UNKNOWN }
}

/// Adds this runtime, and returns its number.
pub(super) fn number(handle: &Handle) -> Number {
    RUNTIMES.number(handle, counts::tracked)
}

/// Shows this runtime in reports, in addition to those that tracked tasks were spawned on. gmr
/// keeps the handle until the process ends.
pub fn watch(handle: &Handle) {
    RUNTIMES.add(handle, true, counts::tracked);
}

/// The runtimes, in the order of their numbers. `None` if a thread was stopped while it added one.
pub(super) fn watched() -> Option<Vec<Watched>> {
    let watched = lock_within(&RUNTIMES.watched, LOCKED_WITHIN)?;
    Some(watched.iter().flatten().cloned().collect())
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn multi_thread() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).build().unwrap()
    }

    /// No task is tracked, but for one on the runtime with the number 1.
    #[allow(clippy::unnecessary_wraps, reason = "the count may fail")]
    fn one_on_the_first() -> Option<Tracked> {
        let mut tracked = Tracked { counted: [0; MOST + 1], is_used: [false; MOST + 1], new: 0 };
        tracked.is_used[1] = true;
        Some(tracked)
    }

    /// Runs a task, and waits until a worker is parked.
    fn use_up(runtime: &Runtime) {
        runtime.block_on(async { tokio::spawn(tokio::task::yield_now()).await.unwrap() });
        while runtime.metrics().worker_park_unpark_count(0).is_multiple_of(2) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn each_runtime_has_a_number_that_takes_no_lock_to_find() {
        let runtimes = Runtimes::none();
        let (one, other) = (multi_thread(), multi_thread());
        let number = |runtime: &Runtime| runtimes.number(runtime.handle(), one_on_the_first);
        [&one, &other].into_iter().for_each(use_up);
        assert_eq!([number(&one), number(&other)], [1, 2]);
        let _held = runtimes.watched.lock().unwrap();
        assert_eq!([number(&one), number(&other)], [1, 2]);
        assert_eq!(number(&runtime()), UNKNOWN, "it has to be added");
    }

    #[test]
    fn a_runtime_that_was_dropped_gives_its_place_to_another() {
        let runtimes = Runtimes::none();
        let number = |runtime: &Runtime| runtimes.number(runtime.handle(), one_on_the_first);
        let (used, pinned) = (runtime(), runtime());
        let (alive, dropped) = (multi_thread(), multi_thread());
        assert_eq!(number(&used), 1);
        assert_eq!(runtimes.add(pinned.handle(), true, one_on_the_first), 2);
        [&alive, &dropped].into_iter().for_each(use_up);
        assert_eq!([number(&alive), number(&dropped)], [3, 4]);
        let metrics = dropped.metrics();
        assert!(!may_be_dropped(&metrics));
        drop((used, pinned, dropped));
        assert!(may_be_dropped(&metrics));
        assert_eq!(number(&runtime()), 4, "a task is on the first, and the second is pinned");
        assert_eq!(number(&alive), 3);
    }

    #[test]
    fn no_more_runtimes_are_kept_than_there_are_places() {
        let runtimes = Runtimes::none();
        let all: Vec<Runtime> = (0..=MOST).map(|_| runtime()).collect();
        let number = |runtime: &Runtime| runtimes.add(runtime.handle(), true, one_on_the_first);
        let mut expected: Vec<Number> = (1..=16).collect();
        expected.push(UNKNOWN);
        assert_eq!(all.iter().map(number).collect::<Vec<_>>(), expected);
        // Not even the lock is needed to know that there is no place.
        let _held = runtimes.watched.lock().unwrap();
        assert_eq!(runtimes.number(all[MOST].handle(), one_on_the_first), UNKNOWN);
    }

    #[test]
    fn a_thread_has_the_number_of_the_runtime_that_it_is_in() {
        // A thread of its own: others of the test's may be in a runtime.
        let test = std::thread::spawn(|| {
            assert_eq!(notice(), UNKNOWN);
            let runtime = runtime();
            let _entered = runtime.enter();
            let number = notice();
            assert_eq!(notice(), number);
        });
        test.join().unwrap();
    }
}
