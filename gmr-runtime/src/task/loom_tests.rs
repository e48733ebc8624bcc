//! A model checker runs every interleaving that the memory model allows of a task's polls, the
//! thread that wakes it and a report on the task's entry, and of tasks that start and end and a
//! report on the registry: `RUSTFLAGS="--cfg gmr_loom" cargo test -p gmr-runtime --lib
//! loom_tests::`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::branch::{Branch, Branches};
use super::entry::{Condition, Entry, Shared};
use super::place::Place;
use super::registry::{Registry, SHARDS, Shard};
use super::sync::Mutex;
use super::waker::Kept;
use super::waking::Waking;

const TRACE: u64 = 1;
const TID: u32 = 4711;

/// A waker that counts.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn waking() -> Waking {
    Waking::begin().expect("no waker blocks")
}

/// The entry of a task that was never polled.
fn new() -> Arc<Entry> {
    Arc::new(Entry::new(1, "task", std::panic::Location::caller()))
}

/// A poll as `Tracked` does it while no trace is taken, or before it sees that one is.
fn poll_unaware(entry: &Entry) {
    let waiting_since = entry.begin(TID, false);
    entry.end(waiting_since);
}

/// The entry of a task that was polled once and waits.
fn waiting() -> Arc<Entry> {
    let entry = new();
    poll_unaware(&entry);
    entry
}

/// Such a task, with a waker.
fn with_waker() -> (Arc<Entry>, Arc<Woken>) {
    let (entry, woken) = (waiting(), Arc::new(Woken::default()));
    entry.keep_waker(Kept::Plain(Waker::from(Arc::clone(&woken))));
    (entry, woken)
}

/// The runtime polls what was woken.
fn polled_if_woken((entry, woken): &(Arc<Entry>, Arc<Woken>)) {
    if woken.0.load(Ordering::Relaxed) > 0 {
        poll(entry);
    }
    assert_branches_known(entry);
}

/// A poll as `Tracked` does it while a trace is taken.
fn poll(entry: &Entry) {
    let waiting_since = entry.begin(TID, false);
    if entry.claim(TRACE) {
        entry.record(TRACE, Branches::from([Branch::default()]), false);
    }
    entry.end(waiting_since);
}

/// Such a poll that finds no room for its stack.
fn poll_without_room(entry: &Entry) {
    let waiting_since = entry.begin(TID, false);
    if entry.claim(TRACE) {
        entry.miss(TRACE);
    }
    entry.end(waiting_since);
}

/// Checks all interleavings of `one` and `other`, each on a thread of its own, and then what
/// `after` asserts. Each of the two is spawned first once: the checker considers for a step of one
/// thread those steps that the other had made by then, and misses some interleavings from one side.
fn in_every_order<T: Clone + 'static>(set: fn() -> T, one: fn(&T), other: fn(&T), after: fn(&T)) {
    for (first, second) in [(one, other), (other, one)] {
        loom::model(move || {
            let all = set();
            let of_first = all.clone();
            let thread = loom::thread::spawn(move || first(&of_first));
            second(&all);
            thread.join().unwrap();
            after(&all);
        });
    }
}

fn assert_branches_known(entry: &Entry) {
    let found = entry.snapshot(TRACE).expect("no thread holds its lock").0;
    assert!(matches!(found, Condition::Waiting { branches: Some(_), .. }), "{found:?}");
}

#[test]
fn a_settled_task_has_recorded_where_it_waits() {
    let report = |entry: &Arc<Entry>| {
        if entry.is_settled(TRACE) {
            assert_branches_known(entry);
        }
    };
    in_every_order(
        waiting,
        |entry| poll(entry),
        report,
        |entry| {
            assert!(entry.is_settled(TRACE));
            assert_branches_known(entry);
        },
    );
}

#[test]
fn a_wake_during_a_poll_does_not_leave_the_task_polling_or_woken() {
    in_every_order(
        with_waker,
        |(entry, _)| poll(entry),
        |(entry, _)| entry.wake(TRACE, &waking()).unwrap(),
        polled_if_woken,
    );
}

#[test]
fn a_wake_during_a_poll_that_missed_the_trace_causes_one_more_poll() {
    in_every_order(
        with_waker,
        |(entry, _)| poll_unaware(entry),
        |(entry, _)| entry.wake(TRACE, &waking()).unwrap(),
        |task| {
            assert_eq!(task.1.0.load(Ordering::Relaxed), 1);
            polled_if_woken(task);
        },
    );
}

#[test]
fn a_poll_that_found_no_room_for_a_stack_is_repeated() {
    in_every_order(
        with_waker,
        |(entry, _)| poll_without_room(entry),
        |(entry, _)| {
            entry.wake(TRACE, &waking()).unwrap();
            entry.wake_again(TRACE, &waking()).unwrap();
        },
        |task| {
            assert!(!task.0.is_settled(TRACE));
            assert!(task.0.wake_again(TRACE, &waking()).unwrap(), "it is not being polled any more");
            assert!(task.1.0.load(Ordering::Relaxed) > 0);
            polled_if_woken(task);
            assert!(task.0.is_settled(TRACE));
        },
    );
}

#[test]
fn a_waker_that_is_replaced_during_a_wake_is_neither_lost_nor_leaked() {
    let with_wakers = || {
        let (before, after) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let entry = waiting();
        entry.keep_waker(Kept::Plain(Waker::from(Arc::clone(&before))));
        (entry, before, after)
    };
    in_every_order(
        with_wakers,
        |(entry, _, after)| entry.keep_waker(Kept::Plain(Waker::from(Arc::clone(after)))),
        |(entry, ..)| entry.wake(TRACE, &waking()).unwrap(),
        |(_, before, after)| {
            let count = |woken: &Woken| woken.0.load(Ordering::Relaxed);
            assert_eq!(count(before) + count(after), 1);
            // The entry has dropped the first and holds the second.
            assert_eq!((Arc::strong_count(before), Arc::strong_count(after)), (1, 2));
        },
    );
}

#[test]
fn a_task_is_not_shown_as_waiting_before_its_first_poll_has_ended() {
    in_every_order(
        new,
        |entry| poll_unaware(entry),
        |entry| {
            let shown = entry.snapshot(TRACE).expect("no thread holds its lock").0;
            assert!(!matches!(shown, Condition::Waiting { .. }) || entry.is_waiting());
        },
        |entry| assert!(entry.is_waiting()),
    );
}

#[test]
fn a_task_that_ends_is_settled_and_can_still_be_read() {
    let end = |entry: &Arc<Entry>| {
        poll_unaware(entry);
        entry.finish();
    };
    in_every_order(
        waiting,
        end,
        |entry| drop(entry.snapshot(TRACE)),
        |entry| {
            assert!(entry.is_settled(TRACE) && entry.has_ended());
            assert_eq!(entry.polls(), 2);
        },
    );
}

/// The ids of two tasks in the same shard.
const ONE: u64 = 1;
const OTHER: u64 = ONE + SHARDS as u64;

type Registries = Arc<Registry>;

fn empty() -> Registries {
    Arc::new(Registry::new(std::array::from_fn(|_| Mutex::new(Shard::new()))))
}

fn add(registry: &Registry, id: u64) -> (Shared, Place) {
    registry.add(id, "task", std::panic::Location::caller()).expect("nothing forks")
}

/// The ids of all tasks that a report finds. No thread is stopped while it holds a shard, so all
/// can be read.
fn found(registry: &Registry) -> Vec<u64> {
    let (tasks, unread) = registry.all();
    assert_eq!(unread, 0);
    for task in &tasks {
        assert!(matches!(task.snapshot(TRACE).expect("no thread holds its lock").0, Condition::New));
    }
    tasks.iter().map(|task| task.id).collect()
}

#[test]
fn tasks_that_start_at_the_same_time_have_a_place_each() {
    in_every_order(
        empty,
        |registry| drop(add(registry, ONE)),
        |registry| drop(add(registry, OTHER)),
        |registry| assert_eq!(found(registry), [ONE, OTHER]),
    );
}

#[test]
fn a_task_that_ends_does_not_remove_one_that_starts() {
    in_every_order(
        empty,
        |registry| {
            let (entry, place) = add(registry, ONE);
            registry.remove(&entry, place);
            assert_eq!(Arc::strong_count(&entry), 1, "the registry has dropped it");
            assert!(registry.find(place).is_none(), "even if its slot is used again");
        },
        |registry| {
            let (entry, place) = add(registry, OTHER);
            assert!(Arc::ptr_eq(&registry.find(place).expect("it is registered"), &entry));
            registry.remove(&entry, place);
            drop(add(registry, OTHER));
        },
        |registry| assert_eq!(found(registry), [OTHER]),
    );
}

#[test]
fn a_report_finds_a_task_at_most_once_and_leaves_none_in_the_registry() {
    in_every_order(
        empty,
        |registry| {
            let (entry, place) = add(registry, ONE);
            registry.remove(&entry, place);
        },
        |registry| {
            let (tasks, unread) = registry.all();
            assert!(unread == 0 && tasks.len() <= 1);
            assert!(tasks.iter().all(|task| task.id == ONE));
        },
        |registry| assert!(found(registry).is_empty()),
    );
}
