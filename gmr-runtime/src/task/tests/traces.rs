//! Traces of tracked futures: which places they find, and what else can happen meanwhile.

use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};

use super::{all_tasks, alone, condition, find, poll, runtime, wait_forever};
use crate::task::counting::Counting;
use crate::task::{Branch, Condition, LeftOut, Survey, TrackExt, survey, trace};

/// Takes a trace, with a timeout that is long enough for Miri.
fn report() -> Survey {
    survey(Duration::from_secs(120))
}

/// In how many places the task waits, if the trace shows that.
fn leaves(survey: &Survey, name: &str) -> Option<usize> {
    let condition = condition(survey, name)?;
    let branches = condition.branches()?;
    // Miri has no stack to copy.
    let is_whole = |branch: &Branch| {
        branch.trace().is_some_and(|trace| !trace.frames.is_empty() && trace.incomplete.is_none())
    };
    assert!(cfg!(miri) || branches.iter().all(is_whole));
    Some(branches.len())
}

/// Waits until each of these tasks waits and has no wake of a trace outstanding.
fn settle(names: &[&str]) {
    let waits = |survey: &Survey, name| matches!(condition(survey, name), Some(Condition::Waiting { .. }));
    loop {
        let survey = all_tasks();
        if names.iter().all(|name| waits(&survey, name)) {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn a_trace_finds_every_place_where_a_task_waits_and_disturbs_nothing() {
    let _turn = alone();
    let runtime = runtime();
    let (permits, bell) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (orders, mut queue) = mpsc::channel::<u32>(1);
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let permit = Arc::clone(&permits);
    let one = async move { permit.acquire().await.is_ok() };
    let (permit, rings) = (Arc::clone(&permits), Arc::clone(&bell));
    let either = async move {
        tokio::select! {
            _ = permit.acquire_many(2) => "permits",
            () = rings.notified() => "bell",
        }
    };
    let inner = async move {
        let received = queue.recv();
        let mut received = pin!(received);
        poll_fn(|context| {
            counted.fetch_add(1, Ordering::Relaxed);
            received.as_mut().poll(context)
        })
        .await
    };
    let outer = async move { inner.tracked_as("inner").await };
    let one = runtime.spawn(one.tracked_as("one"));
    let either = runtime.spawn(either.tracked_as("either"));
    let outer = runtime.spawn(outer.tracked_as("outer"));
    let all = ["one", "either", "inner", "outer"];
    for _ in 0..3 {
        settle(&all);
        let survey = report();
        assert_eq!(all.map(|name| leaves(&survey, name)), [Some(1), Some(2), Some(1), Some(1)]);
        let polls = all.map(|name| find(&survey, name).unwrap().polls());
        assert_eq!(polls, [1; 4], "polls of a trace are not counted");
    }
    assert!(polls.load(Ordering::Relaxed) > 3, "the trace did poll the future");
    // Each is woken as if no trace had been taken.
    bell.notify_one();
    assert_eq!(runtime.block_on(either).unwrap(), "bell");
    permits.add_permits(1);
    assert!(runtime.block_on(one).unwrap());
    runtime.block_on(orders.send(7)).unwrap();
    assert_eq!(runtime.block_on(outer).unwrap(), Some(7));
    let survey = all_tasks();
    assert!(all.iter().all(|name| find(&survey, name).is_none()), "all have ended");
}

#[test]
fn a_future_that_is_over_by_the_end_of_the_poll_is_no_place_where_the_task_waits() {
    let _turn = alone();
    let runtime = runtime();
    // Completes when it is polled again, for whatever reason.
    let mut polls = 0;
    let message = poll_fn(move |_| {
        polls += 1;
        if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
    });
    let task = async move {
        let bell = Notify::new();
        tokio::select! {
            biased;
            () = bell.notified() => {}
            () = message => {}
        }
        wait_forever().await;
    };
    let task = runtime.spawn(task.tracked_as("over"));
    settle(&["over"]);
    let survey = report();
    assert_eq!(leaves(&survey, "over"), Some(1), "the bell was asked in the same poll");
    task.abort();
}

#[test]
fn a_task_that_finds_no_room_for_its_stack_is_polled_again() {
    let _turn = alone();
    let runtime = runtime();
    let names: [&'static str; 3] = ["one", "two", "three"];
    let tasks = [
        runtime
            .spawn(async { tokio::join!(wait_forever(), async { 17 }) }.tracked_as(names[0]))
            .abort_handle(),
        runtime.spawn(wait_forever().tracked_as(names[1])).abort_handle(),
        runtime.spawn(async { tokio::join!(wait_forever(), async {}) }.tracked_as(names[2])).abort_handle(),
    ];
    settle(&names);
    // Room for one copy at a time.
    let survey = trace::survey_with_room(Duration::from_secs(120), 1);
    assert_eq!(names.map(|name| leaves(&survey, name)), [Some(1); 3]);
    assert!(names.iter().all(|name| find(&survey, name).unwrap().polls() == 1));
    // No room at all: the report says so, and ends in time.
    let survey = trace::survey_with_room(Duration::from_millis(50), 0);
    if !cfg!(miri) {
        assert_eq!(names.map(|name| leaves(&survey, name)), [None; 3]);
    }
    for task in tasks {
        task.abort();
    }
}

#[test]
fn a_first_poll_during_a_trace_is_counted_and_takes_part() {
    let _turn = alone();
    // Never polled again: the trace lasts until it is dropped.
    let mut unpolled = Box::pin(wait_forever().tracked_as("unpolled"));
    let waker = Waker::from(Arc::new(Counting::default()));
    assert!(unpolled.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut fresh = pin!(wait_forever().tracked_as("fresh"));
    thread::scope(|scope| {
        let reporting = scope.spawn(report);
        while trace::current().is_none() {
            thread::yield_now();
        }
        assert!(poll(fresh.as_mut()).is_pending());
        drop(unpolled);
        let survey = reporting.join().unwrap();
        assert_eq!((find(&survey, "fresh").unwrap().polls(), leaves(&survey, "fresh")), (1, Some(1)));
    });
}

#[test]
fn a_task_that_can_not_be_woken_is_not_said_to_be() {
    let _turn = alone();
    let mut never = Box::pin(wait_forever().tracked_as("never polled again"));
    let mut in_turn = pin!(wait_forever().tracked_as("polled in turn"));
    assert!(poll(never.as_mut()).is_pending() && poll(in_turn.as_mut()).is_pending());
    thread::scope(|scope| {
        let reporting = scope.spawn(report);
        while trace::current().is_none() {
            thread::yield_now();
        }
        assert!(poll(in_turn.as_mut()).is_pending());
        let survey = reporting.join().unwrap();
        assert_eq!(leaves(&survey, "polled in turn"), Some(1));
        let left_out = find(&survey, "never polled again").unwrap().left_out(survey.trace);
        assert_eq!(left_out, Some(LeftOut::IgnoresWakes));
        let state = condition(&survey, "never polled again");
        assert!(matches!(state, Some(Condition::Waiting { branches: None, .. })), "{state:?}");
    });
}

#[test]
fn a_task_may_complete_in_a_poll_that_a_trace_caused() {
    let _turn = alone();
    let runtime = runtime();
    // The task keeps a waker. A trace does not poll a task whose waker nothing keeps, unless the
    // wakers are known to be tokio's.
    let mut kept: Option<Waker> = None;
    let second_time = poll_fn(move |context| {
        let is_first = kept.replace(context.waker().clone()).is_none();
        if is_first { Poll::Pending } else { Poll::Ready(17) }
    });
    let task = runtime.spawn(second_time.tracked_as("at once"));
    settle(&["at once"]);
    report();
    assert_eq!(runtime.block_on(task).unwrap(), 17);
    assert!(find(&all_tasks(), "at once").is_none());
}

#[test]
fn tasks_start_and_end_during_traces() {
    let _turn = alone();
    let runtime = runtime();
    let over = Arc::new(AtomicBool::new(false));
    let coming_and_going = {
        let (handle, over) = (runtime.handle().clone(), Arc::clone(&over));
        thread::spawn(move || {
            let (mut completed, mut aborted) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let bell = Arc::new(Notify::new());
                let rings = Arc::clone(&bell);
                let rung = handle.spawn(async move { rings.notified().await }.tracked_as("of many"));
                let left = handle.spawn(wait_forever().tracked_as("of many"));
                thread::yield_now();
                bell.notify_one();
                left.abort();
                completed += usize::from(handle.block_on(rung).is_ok());
                aborted += usize::from(handle.block_on(left).is_err_and(|error| error.is_cancelled()));
            }
            (completed, aborted)
        })
    };
    for _ in 0..if cfg!(miri) { 3 } else { 100 } {
        report();
    }
    over.store(true, Ordering::Relaxed);
    let (completed, aborted) = coming_and_going.join().unwrap();
    assert_eq!(completed, aborted, "each ended as it should");
    assert!(find(&all_tasks(), "of many").is_none());
}

#[test]
fn a_forgotten_task_stays_and_is_woken_by_each_trace() {
    let _turn = alone();
    let counting = Arc::new(Counting::default());
    let waker = Waker::from(Arc::clone(&counting));
    let mut task = Box::pin(wait_forever().tracked_as("forgotten"));
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let forgotten = ManuallyDrop::new(task);
    drop(waker);
    while counting.0.load(Ordering::Relaxed) < 2 {
        let survey = survey(Duration::from_millis(1));
        assert!(find(&survey, "forgotten").is_some());
    }
    // For the tests that follow.
    drop(ManuallyDrop::into_inner(forgotten));
    // The thread that wakes tasks may still hold the entry.
    while Arc::strong_count(&counting) > 1 {
        thread::yield_now();
    }
}

/// The executor of the async book: the waker owns its task, and waking polls it.
struct Owning(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Owning {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Weak<Self> {
        let task = Arc::new(Self(Mutex::new(Some(Box::pin(future)))));
        Self::poll(&task);
        Arc::downgrade(&task)
    }

    fn poll(task: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(task));
        let mut future = task.0.lock().unwrap();
        if future
            .as_mut()
            .is_some_and(|future| future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready())
        {
            *future = None;
        }
    }
}

impl Wake for Owning {
    fn wake(self: Arc<Self>) {
        Self::poll(&self);
    }
}

/// Never completes, and keeps its waker there.
async fn wait_at(place: Arc<Mutex<Option<Waker>>>) {
    let keep = |context: &mut Context<'_>| {
        let before = place.lock().unwrap().replace(context.waker().clone());
        drop(before);
        Poll::<()>::Pending
    };
    poll_fn(keep).await;
}

#[test]
fn a_task_that_only_wakers_own_ends_with_the_last_of_the_programs() {
    let _turn = alone();
    for tracked in [false, true] {
        let spawn = |future: Pin<Box<dyn Future<Output = ()> + Send>>| {
            if tracked { Owning::spawn(future.tracked_as("owned")) } else { Owning::spawn(future) }
        };
        assert!(spawn(Box::pin(std::future::pending())).upgrade().is_none(), "no future keeps a waker");
        let place = Arc::new(Mutex::new(None));
        let task = spawn(Box::pin(wait_at(Arc::clone(&place))));
        if tracked {
            for _ in 0..2 {
                let survey = report();
                assert_eq!(leaves(&survey, "owned"), Some(1));
                assert_eq!(find(&survey, "owned").unwrap().polls(), 1);
            }
        }
        // The future is polled with the runtime's waker again.
        let waker = place.lock().unwrap().clone().expect("it waits");
        waker.wake();
        assert!(task.upgrade().is_some() && (!tracked || find(&all_tasks(), "owned").is_some()));
        let last = place.lock().unwrap().take();
        drop(last);
        // The thread that wakes tasks may still hold the waker.
        while task.upgrade().is_some() {
            thread::yield_now();
        }
        assert!(find(&all_tasks(), "owned").is_none());
    }
}

#[test]
fn a_tracked_future_inside_another_is_woken_by_the_wakers_that_its_task_keeps() {
    let _turn = alone();
    let (one, other) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
    let both = {
        let (one, other) = (wait_at(Arc::clone(&one)), wait_at(Arc::clone(&other)));
        async {
            tokio::join!(one.tracked_as("one"), other.tracked_as("other"));
        }
    };
    let task = Owning::spawn(both.tracked_as("both"));
    for _ in 0..3 {
        let survey = report();
        let found = ["one", "other", "both"].map(|name| leaves(&survey, name));
        assert_eq!(found, [Some(1), Some(1), Some(2)]);
        let polls = ["one", "other", "both"].map(|name| find(&survey, name).unwrap().polls());
        assert_eq!(polls, [1; 3], "polls of a trace are not counted, also if another task was woken for it");
    }
    let kept = [one, other].map(|place| place.lock().unwrap().take());
    drop(kept);
    while task.upgrade().is_some() {
        thread::yield_now();
    }
}

#[test]
fn a_poll_that_a_future_asks_for_in_a_poll_of_a_trace_is_not_counted() {
    let _turn = alone();
    let runtime = runtime();
    let wakes = AtomicBool::new(false);
    let mut waits = Box::pin(wait_forever());
    // Yields each time that it was not woken by itself, as a set does that has polled all its
    // futures.
    let yielding = poll_fn(move |context| {
        if !wakes.fetch_not(Ordering::Relaxed) {
            context.waker().wake_by_ref();
        }
        waits.as_mut().poll(context)
    });
    let task = runtime.spawn(yielding.tracked_as("yielding")).abort_handle();
    let polls = || find(&all_tasks(), "yielding").unwrap().polls();
    while polls() < 2 {
        thread::yield_now();
    }
    for _ in 0..3 {
        settle(&["yielding"]);
        assert_eq!(leaves(&report(), "yielding"), Some(1));
    }
    settle(&["yielding"]);
    assert_eq!(polls(), 2);
    task.abort();
}

/// A waker that, when it is woken, waits until it may go on.
struct Blocking {
    entered: AtomicUsize,
    goes_on: AtomicBool,
}

impl Wake for Blocking {
    fn wake(self: Arc<Self>) {
        self.entered.fetch_add(1, Ordering::Relaxed);
        while !self.goes_on.load(Ordering::Relaxed) {
            thread::yield_now();
        }
    }
}

#[test]
fn a_waker_that_blocks_keeps_one_thread_however_many_traces_are_taken() {
    let _turn = alone();
    let left_out = |survey: &Survey, name| find(survey, name).unwrap().left_out(survey.trace);
    let blocking = Arc::new(Blocking { entered: AtomicUsize::new(0), goes_on: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&blocking));
    let mut stuck = ["stuck", "too"].map(|name| Box::pin(wait_forever().tracked_as(name)));
    for task in &mut stuck {
        assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let runtime = runtime();
    let other = runtime.spawn(wait_forever().tracked_as("other")).abort_handle();
    settle(&["other"]);
    survey(Duration::from_millis(50));
    while blocking.entered.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    for _ in 0..10 {
        let survey = report();
        let reasons = ["stuck", "too"].map(|name| left_out(&survey, name));
        assert_eq!(reasons, [Some(LeftOut::WakerBlocks); 2]);
        assert_eq!(leaves(&survey, "other"), Some(1));
    }
    assert_eq!(blocking.entered.load(Ordering::Relaxed), 1);
    // Once it goes on, the tasks are woken again.
    blocking.goes_on.store(true, Ordering::Relaxed);
    while blocking.entered.load(Ordering::Relaxed) < 3 {
        survey(Duration::from_millis(50));
    }
    drop(stuck);
    other.abort();
}

/// A waker that cannot be woken, as that of an executor whose queue is full.
struct Full;

impl Wake for Full {
    fn wake(self: Arc<Self>) {
        panic!("too many tasks queued");
    }
}

#[test]
fn a_waker_that_panics_costs_no_other_task_its_stack() {
    let _turn = alone();
    let full = Waker::from(Arc::new(Full));
    let mut queued = ["first", "second"].map(|name| Box::pin(wait_forever().tracked_as(name)));
    for task in &mut queued {
        assert!(task.as_mut().poll(&mut Context::from_waker(&full)).is_pending());
    }
    let runtime = runtime();
    let other = runtime.spawn(wait_forever().tracked_as("other")).abort_handle();
    settle(&["other"]);
    for _ in 0..2 {
        let survey = report();
        for name in ["first", "second"] {
            assert_eq!(find(&survey, name).unwrap().left_out(survey.trace), Some(LeftOut::WakerPanicked));
            assert!(matches!(condition(&survey, name), Some(Condition::Waiting { branches: None, .. })));
        }
        assert_eq!(leaves(&survey, "other"), Some(1));
        let panicked = survey.panicked.unwrap();
        assert_eq!((panicked.count, panicked.first.as_str()), (2, "too many tasks queued"));
    }
    drop(queued);
    settle(&["other"]);
    assert!(report().panicked.is_none());
    other.abort();
}

async fn awaiting(future: impl Future<Output = ()>) {
    future.await;
}

#[test]
fn a_task_that_opts_out_is_not_polled_nor_what_is_inside_or_around_it() {
    let _turn = alone();
    let runtime = runtime();
    let polls: [_; 3] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
    let counted = |index: usize| {
        let polls = Arc::clone(&polls[index]);
        let mut waits = Box::pin(wait_forever());
        poll_fn(move |context| {
            polls.fetch_add(1, Ordering::Relaxed);
            waits.as_mut().poll(context)
        })
    };
    let inner = counted(0).tracked_as("inner");
    let outermost = awaiting(inner).tracked_as("outer").poll_for_reports(false);
    let innermost = counted(1).tracked_as("opted out").poll_for_reports(false);
    let around = awaiting(awaiting(innermost).tracked_as("around")).tracked_as("outermost");
    let tasks = [
        runtime.spawn(outermost).abort_handle(),
        runtime.spawn(around).abort_handle(),
        runtime.spawn(counted(2).tracked_as("other").poll_for_reports(true)).abort_handle(),
    ];
    let names = ["inner", "outer", "opted out", "around", "outermost"];
    settle(&names);
    settle(&["other"]);
    assert_eq!(leaves(&report(), "other"), Some(1));
    let counts = || polls.each_ref().map(|polls| polls.load(Ordering::Relaxed));
    let polled = counts();
    let survey = report();
    for name in names {
        let task = find(&survey, name).unwrap();
        assert_eq!(task.left_out(survey.trace), Some(LeftOut::TaskOptedOut), "{name}");
        assert!(matches!(condition(&survey, name), Some(Condition::Waiting { branches: None, .. })));
    }
    assert_eq!(leaves(&survey, "other"), Some(1));
    assert_eq!(counts(), [polled[0], polled[1], polled[2] + 1]);
    assert_eq!(polled, [1, 1, 2]);
    for task in tasks {
        task.abort();
    }
}

#[test]
fn no_task_is_polled_if_polls_are_switched_off() {
    let _turn = alone();
    let runtime = runtime();
    let task = runtime.spawn(wait_forever().tracked_as("task")).abort_handle();
    settle(&["task"]);
    trace::poll_tasks(false);
    let survey = report();
    trace::poll_tasks(true);
    let entry = find(&survey, "task").unwrap();
    assert_eq!(entry.left_out(survey.trace), Some(LeftOut::AllOptedOut));
    assert!(matches!(condition(&survey, "task"), Some(Condition::Waiting { branches: None, .. })));
    assert_eq!(leaves(&report(), "task"), Some(1));
    task.abort();
}
