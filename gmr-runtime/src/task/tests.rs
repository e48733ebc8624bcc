//! What can happen to a tracked future, during reports and between them. Nothing here needs a
//! process of its own or a signal: Miri runs all of it (`cargo xtask miri`).

mod traces;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::entry::Entry;
use super::registered::TASKS;
use super::registry::{Registry, SHARDS, Shard};
use super::tracked::{readable_type, shown_name, type_of_future};
use super::{Condition, Survey, TrackExt, label};
use crate::sys::Modules;

/// Runs one test at a time: a trace is taken of all tasks of the process.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All tasks, without a trace.
pub(super) fn all_tasks() -> Survey {
    let (tasks, unread) = TASKS.all();
    Survey { tasks, trace: 0, unread, modules: Modules::default(), panicked: None }
}

fn find<'a>(survey: &'a Survey, name: &str) -> Option<&'a Entry> {
    survey.tasks.iter().find(|task| task.name == name).map(|task| &**task)
}

fn condition(survey: &Survey, name: &str) -> Option<Condition> {
    Some(find(survey, name)?.snapshot(survey.trace).expect("no thread holds its lock").0)
}

/// The labels of the task, in the order in which they were first set.
fn labels(name: &str) -> Vec<(&'static str, String)> {
    find(&all_tasks(), name).expect("it is tracked").snapshot(0).expect("no thread holds its lock").1
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Never completes, and keeps its waker as every leaf future does.
pub(super) async fn wait_forever() {
    let mut kept: Option<Waker> = None;
    poll_fn(move |context| {
        drop(kept.replace(context.waker().clone()));
        Poll::<()>::Pending
    })
    .await;
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

#[test]
fn an_entry_has_state_polls_and_labels() {
    let _turn = alone();
    let mut task = pin!(
        async {
            label("order", 4711);
            label("order", 4712);
            wait_forever().await;
        }
        .tracked_as("looked at")
    );
    assert!(matches!(condition(&all_tasks(), "looked at"), Some(Condition::New)));
    assert!(poll(task.as_mut()).is_pending());
    let survey = all_tasks();
    let entry = find(&survey, "looked at").unwrap();
    let (condition, _) = entry.snapshot(survey.trace).unwrap();
    assert!(matches!(condition, Condition::Waiting { .. } | Condition::Woken { .. }), "{condition:?}");
    label("order", "outside of any task");
    assert_eq!((entry.polls(), labels("looked at")), (1, vec![("order", "4712".to_owned())]));
}

#[test]
fn a_task_may_be_polled_on_several_threads_and_dropped_on_another() {
    let _turn = alone();
    let task = Box::pin(
        async {
            label("began", "here");
            wait_forever().await;
        }
        .tracked_as("moving"),
    );
    let on_another_thread = |mut task: Pin<Box<_>>| {
        let poll_there = move || {
            assert!(poll(Pin::as_mut(&mut task)).is_pending());
            task
        };
        thread::spawn(poll_there).join().unwrap()
    };
    let task = on_another_thread(on_another_thread(task));
    let survey = all_tasks();
    let entry = find(&survey, "moving").unwrap();
    assert_eq!((entry.polls(), entry.snapshot(0).unwrap().1), (2, vec![("began", "here".to_owned())]));
    thread::spawn(move || drop(task)).join().unwrap();
    assert!(entry.has_ended());
    assert!(find(&all_tasks(), "moving").is_none());
}

#[test]
fn a_completed_or_dropped_task_is_not_shown() {
    let _turn = alone();
    let there = || find(&all_tasks(), "ending").is_some();
    let mut task = Box::pin(async { 17 }.tracked_as("ending"));
    assert!(there());
    assert_eq!(poll(task.as_mut()), Poll::Ready(17));
    assert!(!there(), "completed");
    drop(task);
    let dropped = wait_forever().tracked_as("ending");
    assert!(there());
    drop(dropped);
    assert!(!there(), "dropped");
}

#[test]
fn polling_a_completed_task_does_what_its_future_does() {
    let _turn = alone();
    let mut polls = 0;
    let mut lenient = pin!(
        poll_fn(|_| {
            polls += 1;
            Poll::Ready(polls)
        })
        .tracked_as("lenient")
    );
    assert_eq!([poll(lenient.as_mut()), poll(lenient.as_mut())], [Poll::Ready(1), Poll::Ready(2)]);
    let mut strict = Box::pin(async { 17 }.tracked_as("strict"));
    assert_eq!(poll(strict.as_mut()), Poll::Ready(17));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(strict.as_mut()))).is_err(), "async fns panic");
    assert!(find(&all_tasks(), "strict").is_none());
}

#[test]
fn a_panic_in_a_poll_ends_it() {
    let _turn = alone();
    let mut task = Box::pin(async { panic!("broken") }.tracked_as("panics"));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(task.as_mut()).is_ready())).is_err());
    assert!(!matches!(condition(&all_tasks(), "panics"), Some(Condition::Polling { .. }) | None));
}

#[test]
fn a_label_goes_to_the_innermost_task_that_is_being_polled() {
    let _turn = alone();
    let outer = async {
        label("before", 1);
        let inner = async {
            label("inside", 2);
            wait_forever().await;
        };
        let mut inner = Box::pin(inner.tracked_as("inner"));
        assert!(poll(inner.as_mut()).is_pending());
        label("after", 3);
        // A runtime inside the poll.
        let blocking = Builder::new_current_thread().build().unwrap();
        blocking.block_on(async {
            label("in block_on", 4);
            let tracked = async {
                label("inside", 5);
                assert_eq!(labels("in block_on"), [("inside", "5".to_owned())]);
            };
            tracked.tracked_as("in block_on").await;
        });
        assert_eq!(labels("inner"), [("inside", "2".to_owned())]);
        wait_forever().await;
        drop(inner);
    };
    let mut outer = pin!(outer.tracked_as("outer"));
    assert!(poll(outer.as_mut()).is_pending());
    let of_outer = [("before", 1), ("after", 3), ("in block_on", 4)];
    assert_eq!(labels("outer"), of_outer.map(|(key, value)| (key, value.to_string())));
}

#[test]
fn a_label_after_a_panic_in_a_poll_goes_to_the_task_around_it() {
    let _turn = alone();
    let outer = async {
        let mut panics = Box::pin(async { panic!("broken") }.tracked_as("panics"));
        assert!(catch_unwind(AssertUnwindSafe(|| poll(panics.as_mut()).is_ready())).is_err());
        label("outer", 1);
        assert_eq!(labels("panics"), []);
        wait_forever().await;
    };
    let mut outer = pin!(outer.tracked_as("outer"));
    assert!(poll(outer.as_mut()).is_pending());
    let mut panics = Box::pin(async { panic!("broken") }.tracked_as("panics"));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(panics.as_mut()).is_ready())).is_err());
    label("outside", 2);
    assert_eq!(labels("outer"), [("outer", "1".to_owned())]);
    assert_eq!(labels("panics"), []);
}

struct LabelsWhenDropped;

impl Drop for LabelsWhenDropped {
    fn drop(&mut self) {
        label("from drop", 1);
    }
}

#[test]
fn a_label_from_a_task_that_is_dropped_goes_to_the_task_around_it() {
    let _turn = alone();
    let dropped = || {
        let held = LabelsWhenDropped;
        let mut inner = Box::pin(
            async move {
                let _held = held;
                wait_forever().await;
            }
            .tracked_as("inner"),
        );
        assert!(poll(inner.as_mut()).is_pending());
        inner
    };
    let outer = async {
        drop(dropped());
        wait_forever().await;
    };
    let mut outer = pin!(outer.tracked_as("outer"));
    drop(dropped());
    assert_eq!(labels("outer"), [], "outside of any poll");
    assert!(poll(outer.as_mut()).is_pending());
    assert_eq!(labels("outer"), [("from drop", "1".to_owned())]);
}

#[test]
fn a_slot_that_is_used_again_is_not_the_old_tasks_place() {
    let registry = Registry::new([const { Mutex::new(Shard::new()) }; SHARDS]);
    let add = |id| registry.add(id, "task", std::panic::Location::caller()).unwrap();
    let (old, old_place) = add(1);
    assert!(Arc::ptr_eq(&registry.find(old_place).unwrap(), &old));
    registry.remove(&old, old_place);
    assert!(registry.find(old_place).is_none());
    let (new, new_place) = add(1 + SHARDS as u64);
    assert!(registry.find(old_place).is_none(), "the slot has another task now");
    assert!(Arc::ptr_eq(&registry.find(new_place).unwrap(), &new));
}

#[test]
fn a_forked_child_gives_up_what_another_thread_has_locked() {
    let shards: [_; SHARDS] = std::array::from_fn(|_| Mutex::new(Shard::new()));
    let registry = Registry::new(shards);
    let add = |id| registry.add(id, "task", std::panic::Location::caller());
    let [(one, place), _] = [1, 2].map(|id| add(id).unwrap());
    // For ever, as in a child.
    std::mem::forget(registry.shard(1).lock());
    registry.note_fork();
    for _ in 0..2 {
        assert!(add(1 + SHARDS as u64).is_none() && registry.find(place).is_none());
        registry.remove(&one, place);
    }
    assert!(add(2 + SHARDS as u64).is_some(), "the others are as they were");
    let (tasks, unread) = registry.all();
    assert_eq!(
        (tasks.iter().map(|task| task.id).collect::<Vec<_>>(), unread),
        (vec![2, 2 + SHARDS as u64], 1)
    );
}

#[cfg(feature = "tokio")]
#[test]
fn code_inside_a_blocking_task_labels_it() {
    let _turn = alone();
    let (labelled, labels_are_set) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel();
    let closure = move || {
        label("step", 1);
        labelled.send(()).unwrap();
        ended.recv().unwrap()
    };
    let runtime = runtime();
    let _entered = runtime.enter();
    let line = line!() + 1;
    let task = super::tokio::spawn_blocking(closure);
    labels_are_set.recv().unwrap();
    let survey = all_tasks();
    let task_of_line =
        |task: &&Arc<Entry>| task.spawned_at.line() == line && task.spawned_at.file() == file!();
    let (condition, labels) = survey.tasks.iter().find(task_of_line).unwrap().snapshot(0).unwrap();
    assert!(matches!(condition, Condition::Polling { .. }), "{condition:?}");
    assert_eq!(labels, [("step", "1".to_owned())]);
    end.send(17).unwrap();
    assert_eq!(runtime.block_on(task).unwrap(), 17);
}

#[test]
fn a_future_is_named_after_its_function() {
    let shown = |name| shown_name(type_of_future(name), false);
    assert_eq!(shown("orders::checkout::{{closure}}"), "orders::checkout");
    assert_eq!(shown("orders::main::{{closure}}::checkout::{{closure}}"), "orders::main::checkout");
    for block in
        ["orders::main::{{closure}}::{{closure}}", "orders::main::{{closure}}::{{closure}}::{{closure}}"]
    {
        assert_eq!(shown(block), "{async block in orders::main}");
        assert_eq!(shown_name(readable_type(block), false), "orders::main");
        assert_eq!(shown_name(block, true), "{closure in orders::main}");
    }
    assert_eq!(shown("orders::Poller"), "orders::Poller");
    assert_eq!(shown_name("orders::archive", true), "orders::archive");
}
