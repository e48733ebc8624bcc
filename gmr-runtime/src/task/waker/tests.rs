//! Wakers that capture stacks: what they record, and that the program notices nothing of them.

use super::*;
use crate::task::counting::Counting;

/// A leaf for each clone.
#[derive(Default)]
struct Numbering {
    leaves: Mutex<Vec<Branch>>,
    has_no_room: bool,
}

impl Take for Numbering {
    fn take(&self, stack: Result<OwnStack<'_>, &'static str>) -> Option<Branch> {
        assert!(cfg!(miri) || stack.is_ok());
        let leaf = Branch::default();
        self.leaves.lock().unwrap().push(Arc::clone(&leaf));
        (!self.has_no_room).then_some(leaf)
    }
}

impl Numbering {
    /// Which clones these leaves belong to.
    fn numbers(&self, leaves: Option<Vec<Branch>>) -> Vec<usize> {
        let all = self.leaves.lock().unwrap();
        let number = |leaf| all.iter().position(|of_clone| Arc::ptr_eq(of_clone, &leaf)).unwrap();
        leaves.unwrap().into_iter().map(number).collect()
    }
}

#[test]
fn a_clone_wakes_the_task_and_holds_the_runtimes_waker_until_it_is_dropped() {
    let counting = Arc::new(Counting::default());
    let runtimes = Waker::from(Arc::clone(&counting));
    let numbering = Numbering::default();
    let capture = Capture::new(&runtimes, &numbering);
    let kept = capture.with(|waker| {
        assert!(!capture.was_woken());
        waker.wake_by_ref();
        assert!(is_capturing(waker) && !is_capturing(&runtimes));
        (waker.clone(), waker.clone().clone())
    });
    assert!(capture.was_woken());
    assert_eq!(numbering.numbers(capture.leaves()), [0, 1], "cloning a clone takes no stack");
    assert!(!kept.0.will_wake(&runtimes), "a future replaces it when it is next polled");
    assert!(!is_capturing(&kept.0) && !is_capturing(&kept.1));
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
    kept.0.wake_by_ref();
    let another = kept.0.clone();
    another.wake();
    kept.0.wake();
    drop(kept.1);
    assert_eq!(counting.0.load(Ordering::Relaxed), 4);
    drop(runtimes);
    assert_eq!(Arc::strong_count(&counting), 1, "no reference is left over");
}

#[test]
fn a_waker_that_owns_nothing_is_told_from_one_that_does() {
    // As embassy's: one function for both ways to wake.
    const TABLE: &RawWakerVTable =
        &RawWakerVTable::new(|data| RawWaker::new(data, TABLE), wake, wake, |_| {});
    // As that of the crate `futures`.
    const NOOP: &RawWakerVTable = &RawWakerVTable::new(|data| RawWaker::new(data, NOOP), none, none, none);
    fn wake(_: *const ()) {
        std::hint::black_box(17);
    }
    fn none(_: *const ()) {}
    // SAFETY: its functions do nothing with the pointer.
    let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), TABLE)) };
    assert!(may_own_nothing(&waker) && !may_own_its_task(&waker));
    let counting = Waker::from(Arc::new(Counting::default()));
    assert!(!may_own_nothing(&counting) && may_own_its_task(&counting));
    assert!(!may_own_its_task(Waker::noop()));
    assert!(ignores_wakes(Waker::noop()) && !ignores_wakes(&waker) && !ignores_wakes(&counting));
    // SAFETY: its functions do nothing with the pointer.
    assert!(ignores_wakes(&unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), NOOP)) }));
}

#[test]
fn a_waker_that_panics_when_it_is_cloned_panics_only_in_futures_that_clone_it() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::task::{Context, Poll};

    use crate::task::TrackExt;

    fn wake(_: *const ()) {
        std::hint::black_box(1);
    }
    fn wake_by_ref(_: *const ()) {
        std::hint::black_box(2);
    }
    static PANICS: RawWakerVTable =
        RawWakerVTable::new(|_| panic!("not to be cloned"), wake, wake_by_ref, |_| {});
    static PANICS_LATER: RawWakerVTable = RawWakerVTable::new(
        |data| {
            static CLONES: AtomicBool = AtomicBool::new(false);
            assert!(!CLONES.swap(true, Ordering::Relaxed), "not to be cloned again");
            RawWaker::new(data, &PANICS_LATER)
        },
        wake,
        wake_by_ref,
        |_| {},
    );
    for table in [&PANICS, &PANICS_LATER] {
        // SAFETY: the functions of both tables do nothing with the pointer.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), table)) };
        let mut context = Context::from_waker(&waker);
        let mut clones = false;
        let mut task = Box::pin(
            std::future::poll_fn(move |context| {
                if std::mem::replace(&mut clones, true) {
                    drop(context.waker().clone());
                }
                Poll::<()>::Pending
            })
            .tracked_as("not cloned"),
        );
        assert!(task.as_mut().poll(&mut context).is_pending(), "this future does not clone it");
        let poll = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context).is_pending()));
        assert!(poll.is_err(), "as without gmr");
    }
}

#[test]
fn a_passing_waker_is_found_for_as_long_as_it_is_kept() {
    let counting = Arc::new(Counting::default());
    let passing = Passing::waker(Passing::new(Waker::from(Arc::clone(&counting))));
    let kept = Passing::find(&passing).unwrap();
    assert!(Passing::find(Waker::noop()).is_none());
    let clone = passing.clone();
    assert!(clone.will_wake(&passing));
    kept.lend().unwrap().wake();
    clone.wake();
    passing.wake_by_ref();
    assert_eq!(counting.0.load(Ordering::Relaxed), 3);
    assert_eq!(Arc::strong_count(&counting), 2);
    passing.wake();
    assert_eq!(counting.0.load(Ordering::Relaxed), 4);
    assert!(kept.lend().is_none() && kept.kind().is_none());
    assert_eq!(Arc::strong_count(&counting), 1, "no reference is left over");
}

/// The lock of an executor that polls its tasks while it holds it. Its wakers take it too.
static EXECUTOR: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread holds the lock.
    static HOLDS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn within_executor<R>(run: impl FnOnce() -> R) -> R {
    if HOLDS.replace(true) {
        return run();
    }
    let guard = EXECUTOR.lock().unwrap_or_else(PoisonError::into_inner);
    let result = run();
    HOLDS.set(false);
    drop(guard);
    result
}

#[test]
fn a_waker_that_waits_for_its_executor_keeps_neither_that_nor_the_report() {
    use std::task::Context;
    use std::time::Duration;

    use crate::task::tests::alone;
    use crate::task::{Condition, LeftOut, TrackExt, survey};

    /// It may own its task.
    static OWNING: RawWakerVTable = RawWakerVTable::new(
        |data| within_executor(|| RawWaker::new(data, &OWNING)),
        |_| within_executor(|| _ = std::hint::black_box(1)),
        |_| within_executor(|| _ = std::hint::black_box(2)),
        |_| within_executor(|| ()),
    );
    /// It owns nothing.
    static LIGHT: RawWakerVTable = RawWakerVTable::new(
        |data| within_executor(|| RawWaker::new(data, &LIGHT)),
        wake,
        wake,
        |_| within_executor(|| ()),
    );
    fn wake(_: *const ()) {
        within_executor(|| ());
    }

    let _turn = alone();
    for table in [&OWNING, &LIGHT] {
        let waker = |data: &'static u8| {
            // SAFETY: the functions of both tables do nothing with the pointer.
            unsafe { Waker::from_raw(RawWaker::new(std::ptr::from_ref(data).cast(), table)) }
        };
        let mut keeps = None;
        let mut task = Box::pin(
            std::future::poll_fn(move |context| {
                drop(keeps.replace(context.waker().clone()));
                std::task::Poll::<()>::Pending
            })
            .tracked_as("within its executor"),
        );
        let mut poll =
            |waker: &Waker| assert!(task.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        poll(&waker(&1));
        let conditions = within_executor(|| {
            let survey = || {
                let survey = std::thread::spawn(|| survey(Duration::from_millis(50))).join().unwrap();
                let task = survey.tasks.iter().find(|task| task.name == "within its executor").unwrap();
                (task.snapshot(survey.trace).unwrap().0, task.left_out(survey.trace))
            };
            let first = loop {
                let seen = survey();
                if matches!(seen.0, Condition::Woken { .. }) {
                    break seen;
                }
            };
            // The thread that wakes it waits for the lock, and holds none that this poll needs.
            while crate::task::waking::blocking().is_empty() {}
            poll(&waker(&2));
            [first, survey()]
        });
        let [_, (_, second)] = &conditions;
        assert_eq!(*second, Some(LeftOut::WakerBlocks), "{conditions:?}");
        // Once the lock is free, the thread goes on.
        while !crate::task::waking::blocking().is_empty() {}
        drop(task);
    }
}

#[test]
fn a_waker_that_is_lent_is_never_replaced() {
    use std::pin::pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use crate::task::tests::{alone, wait_forever};
    use crate::task::{LeftOut, TrackExt, survey, trace};

    /// The waker's data are on the stack of the function that polls; its clone is another.
    static LENT: RawWakerVTable = RawWakerVTable::new(clone, ignore, ignore_too, |_| {});
    fn clone(_: *const ()) -> RawWaker {
        let counting = ManuallyDrop::new(Waker::from(Arc::new(Counting::default())));
        RawWaker::new(counting.data(), counting.vtable())
    }
    fn ignore(_: *const ()) {
        std::hint::black_box(1);
    }
    fn ignore_too(_: *const ()) {
        std::hint::black_box(2);
    }
    let _turn = alone();
    let mut kept = None;
    let leaf = std::future::poll_fn(|context| {
        assert!(std::ptr::eq(context.waker().vtable(), &raw const LENT), "this runtime's waker is not found");
        kept = Some(context.waker().clone());
        Poll::<()>::Pending
    });
    let mut task = pin!(leaf.tracked_as("lent"));
    // Never polled again: the trace lasts until it is dropped.
    let mut unpolled = Box::pin(wait_forever().tracked_as("unpolled"));
    let counting = Waker::from(Arc::new(Counting::default()));
    assert!(unpolled.as_mut().poll(&mut Context::from_waker(&counting)).is_pending());
    let poll = |task: std::pin::Pin<&mut _>| {
        let data = 17_u8;
        // SAFETY: its functions do nothing with the pointer.
        let waker = unsafe { Waker::from_raw(RawWaker::new((&raw const data).cast(), &LENT)) };
        assert!(Future::poll(task, &mut Context::from_waker(&waker)).is_pending());
    };
    poll(task.as_mut());
    let reporting = std::thread::spawn(|| survey(Duration::from_secs(120)));
    while trace::current().is_none() {
        std::thread::yield_now();
    }
    poll(task.as_mut());
    drop(unpolled);
    let survey = reporting.join().unwrap();
    let entry = survey.tasks.iter().find(|task| task.name == "lent").unwrap();
    assert_eq!(entry.left_out(survey.trace), Some(LeftOut::ForeignWaker));
}

#[test]
fn a_clone_that_is_dropped_or_used_up_during_the_poll_is_no_leaf() {
    let runtimes = Waker::from(Arc::new(Counting::default()));
    let numbering = Numbering::default();
    let capture = Capture::new(&runtimes, &numbering);
    let kept = capture.with(|waker| {
        drop(waker.clone());
        let kept = waker.clone();
        let used_up = waker.clone();
        used_up.wake();
        let (moved, original) = (waker.clone(), waker.clone());
        let clone_of_clone = original.clone();
        drop(original);
        [kept, moved, clone_of_clone]
    });
    assert_eq!(numbering.numbers(capture.leaves()), [1, 3, 4]);
    drop(kept);
}

#[test]
fn a_leaf_without_its_stack_is_not_left_out() {
    let numbering = Numbering { has_no_room: true, ..Numbering::default() };
    let capture = Capture::new(Waker::noop(), &numbering);
    let kept = capture.with(Waker::clone);
    assert!(capture.leaves().is_none());
    drop(kept);
    let capture = Capture::new(Waker::noop(), &numbering);
    capture.with(|waker| drop(waker.clone()));
    assert!(capture.leaves().is_some_and(|leaves| leaves.is_empty()), "no future keeps it");
}

#[test]
fn another_thread_may_clone_it_during_the_poll() {
    struct Sources(Mutex<Vec<bool>>);
    impl Take for Sources {
        fn take(&self, stack: Result<OwnStack<'_>, &'static str>) -> Option<Branch> {
            self.0.lock().unwrap().push(stack.is_ok());
            Some(Branch::default())
        }
    }
    let runtimes = Waker::from(Arc::new(Counting::default()));
    let sources = Sources(Mutex::default());
    let capture = Capture::new(&runtimes, &sources);
    let kept = capture.with(|waker| {
        let there = std::thread::scope(|scope| scope.spawn(|| waker.clone()).join().unwrap());
        (there, waker.clone())
    });
    assert_eq!(capture.leaves().unwrap().len(), 2);
    assert!(cfg!(miri) || *sources.0.lock().unwrap() == [false, true], "its stack is not the poll's");
    drop(kept);
}
