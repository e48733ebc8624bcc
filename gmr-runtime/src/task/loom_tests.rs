//! Every order in which a task's polls, the thread that wakes it and a report can meet over its account, and in which tasks that begin and end and a report can meet over the registry, as the
//! memory model allows them: gone through by a model checker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::branch::Branch;
use super::entry::{Condition, Entry, Shared};
use super::registry::{Place, Registry, SHARDS, Shard};
use super::sync::Mutex;

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

/// The account of a task that was never polled.
fn new() -> Arc<Entry> {
    Arc::new(Entry::new(1, "task", std::panic::Location::caller()))
}

/// A poll as `Tracked` does it while no trace is wanted, or none that it knows of.
fn poll_unaware(entry: &Entry) {
    let asked = entry.begin(TID);
    entry.end(asked);
}

/// The account of a task that has been polled once and waits.
fn waiting() -> Arc<Entry> {
    let entry = new();
    poll_unaware(&entry);
    entry
}

/// Such a task, with a waker.
fn with_waker() -> (Arc<Entry>, Arc<Woken>) {
    let (entry, woken) = (waiting(), Arc::new(Woken::default()));
    entry.keep(Waker::from(Arc::clone(&woken)));
    (entry, woken)
}

/// The runtime polls whatever was woken.
fn polled_if_woken((entry, woken): &(Arc<Entry>, Arc<Woken>)) {
    if woken.0.load(Ordering::Relaxed) > 0 {
        poll(entry);
    }
    must_have_told(entry);
}

/// A poll as `Tracked` does it while a trace is wanted.
fn poll(entry: &Entry) {
    let asked = entry.begin(TID);
    if entry.claim(TRACE) {
        entry.found(TRACE, Arc::new([Branch::from([17])]));
    }
    entry.end(asked);
}

/// Goes through the orders of these two, each on a thread of its own, then has `after` look at what they have left. Either begins once: the checker looks for what a step of the one
/// may meet among the steps that the other had made when it came to it, and overlooks some from one side.
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

fn must_have_told(entry: &Entry) {
    let found = entry.look(TRACE).expect("nobody holds it").0;
    assert!(matches!(found, Condition::Waiting { branches: Some(_), .. }), "{found:?}");
}

#[test]
fn a_settled_task_has_told_where_it_waits() {
    let report = |entry: &Arc<Entry>| {
        if entry.is_settled(TRACE) {
            must_have_told(entry);
        }
    };
    in_every_order(
        waiting,
        |entry| poll(entry),
        report,
        |entry| {
            assert!(entry.is_settled(TRACE));
            must_have_told(entry);
        },
    );
}

#[test]
fn a_task_that_is_woken_while_it_is_polled_is_not_thought_to_be_polled_or_woken_for_ever() {
    in_every_order(with_waker, |(entry, _)| poll(entry), |(entry, _)| entry.wake(TRACE), polled_if_woken);
}

#[test]
fn a_task_that_is_asked_in_a_poll_that_does_not_know_it_is_polled_once_more_and_tells() {
    in_every_order(
        with_waker,
        |(entry, _)| poll_unaware(entry),
        |(entry, _)| entry.wake(TRACE),
        |task| {
            assert_eq!(task.1.0.load(Ordering::Relaxed), 1);
            polled_if_woken(task);
        },
    );
}

#[test]
fn a_waker_that_is_replaced_while_it_is_used_is_neither_lost_nor_left_over() {
    let with_wakers = || {
        let (before, after) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        let entry = waiting();
        entry.keep(Waker::from(Arc::clone(&before)));
        (entry, before, after)
    };
    in_every_order(
        with_wakers,
        |(entry, _, after)| entry.keep(Waker::from(Arc::clone(after))),
        |(entry, ..)| entry.wake(TRACE),
        |(_, before, after)| {
            let count = |woken: &Woken| woken.0.load(Ordering::Relaxed);
            assert_eq!(count(before) + count(after), 1);
            // Of the one nobody else, of the other the account.
            assert_eq!((Arc::strong_count(before), Arc::strong_count(after)), (1, 2));
        },
    );
}

#[test]
fn a_task_whose_first_poll_is_just_ending_does_not_wait_yet() {
    in_every_order(
        new,
        |entry| poll_unaware(entry),
        |entry| {
            let shown = entry.look(TRACE).expect("nobody holds it").0;
            assert!(!matches!(shown, Condition::Waiting { .. }) || entry.is_waiting());
        },
        |entry| assert!(entry.is_waiting()),
    );
}

#[test]
fn a_task_that_ends_is_settled_and_can_be_looked_at() {
    let end = |entry: &Arc<Entry>| {
        poll_unaware(entry);
        entry.finish();
    };
    in_every_order(
        waiting,
        end,
        |entry| drop(entry.look(TRACE)),
        |entry| {
            assert!(entry.is_settled(TRACE) && entry.has_ended());
            assert_eq!(entry.polls(), 2);
        },
    );
}

/// The ids of two tasks in the same part of the registry.
const ONE: u64 = 1;
const OTHER: u64 = ONE + SHARDS as u64;

type Registries = Arc<Registry>;

fn empty() -> Registries {
    Arc::new(Registry::new(std::array::from_fn(|_| Mutex::new(Shard::new()))))
}

fn add(registry: &Registry, id: u64) -> (Shared, Place) {
    registry.add(id, "task", std::panic::Location::caller())
}

/// The ids of all tasks that a report finds. Nobody stays in the registry, so that it can read all of it.
fn found(registry: &Registry) -> Vec<u64> {
    let (tasks, unread) = registry.all();
    assert_eq!(unread, 0);
    for task in &tasks {
        assert!(matches!(task.look(TRACE).expect("nobody holds it").0, Condition::New));
    }
    tasks.iter().map(|task| task.id).collect()
}

#[test]
fn tasks_that_begin_at_once_have_a_place_each() {
    in_every_order(
        empty,
        |registry| drop(add(registry, ONE)),
        |registry| drop(add(registry, OTHER)),
        |registry| assert_eq!(found(registry), [ONE, OTHER]),
    );
}

#[test]
fn the_place_of_a_task_that_ends_is_not_taken_from_one_that_begins() {
    in_every_order(
        empty,
        |registry| {
            let (entry, place) = add(registry, ONE);
            registry.remove(&entry, place);
            assert_eq!(Arc::strong_count(&entry), 1, "nobody else has it");
            assert!(registry.find(place).is_none(), "whoever has its slot now");
        },
        |registry| {
            let (entry, place) = add(registry, OTHER);
            assert!(Arc::ptr_eq(&registry.find(place).expect("it is there"), &entry));
            registry.remove(&entry, place);
            drop(add(registry, OTHER));
        },
        |registry| assert_eq!(found(registry), [OTHER]),
    );
}

#[test]
fn a_report_finds_a_task_or_does_not_and_keeps_none_alive_in_the_registry() {
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
