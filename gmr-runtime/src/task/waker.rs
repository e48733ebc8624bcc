//! The waker of a poll that a trace looks at. It takes the stack whenever it is cloned, and knows
//! at the end of the poll which of its clones are still kept.
//!
//! It lives on the stack of one poll and does not outlive it. A clone is a waker of its own that
//! wakes the task through the runtime's; a future that is polled again without a trace replaces it
//! by a clone of the runtime's waker. This file does not know how a stack is unwound.

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Wake, Waker};

use super::branch::Branch;
use crate::capture::{OwnRegisters, OwnStack, Root};

/// What is done with the stack of a function that clones the waker.
pub(super) trait Take: Sync {
    /// Takes the stack from the waker's clone up to the poll's root, or the reason why it can't be
    /// read. `None` if the task has to be polled again.
    fn take(&self, stack: Result<OwnStack<'_>, &'static str>) -> Option<Branch>;
}

/// Collects where the clones of the waker were made during one poll.
pub(super) struct Capture<'a> {
    /// Up to here, the stack is the task's.
    root: Root,
    runtimes: &'a Waker,
    take: &'a dyn Take,
    clones: Mutex<Vec<(Arc<Registration>, Option<Branch>)>>,
}

impl<'a> Capture<'a> {
    pub(super) fn new(runtimes: &'a Waker, take: &'a dyn Take) -> Self {
        Self { root: Root::new(), runtimes, take, clones: Mutex::default() }
    }

    /// Calls `poll` with the waker.
    pub(super) fn with<R>(&self, poll: impl FnOnce(&Waker) -> R) -> R {
        let data: *const () = std::ptr::from_ref(self).cast();
        // SAFETY: the functions of the table take `data` for a `Capture`, which it is. It is
        // borrowed for as long as this waker exists: `poll` gets the waker by reference, for a
        // lifetime that ends with this call, and clones are other wakers. `Waker` is `Send` and
        // `Sync`, so `poll` may lend it to other threads for that time, and `Capture` is `Sync`.
        let waker = unsafe { Waker::from_raw(RawWaker::new(data, &TABLE)) };
        poll(&waker)
    }

    /// Where the clones were made that are still kept, in the order in which they were made. `None`
    /// if the stack of one was not taken.
    pub(super) fn leaves(self) -> Option<Vec<Branch>> {
        let clones = self.clones.into_inner().unwrap_or_else(PoisonError::into_inner);
        // One reference is this list's. A future that has completed or was dropped in the course of
        // the poll has dropped its clone.
        let kept = |(registration, leaf)| (Arc::strong_count(&registration) > 1).then_some(leaf);
        clones.into_iter().filter_map(kept).collect()
    }

    /// # Safety
    /// `data` must be what [`with`](Self::with) put into the waker, during that call.
    unsafe fn from_data<'b>(data: *const ()) -> &'b Self {
        // SAFETY: the caller guarantees that it points to a `Capture` that is borrowed for long
        // enough.
        unsafe { &*data.cast::<Self>() }
    }

    // Not inlined: the stack begins with the frame of this function, which is left out.
    #[inline(never)]
    unsafe fn clone(data: *const ()) -> RawWaker {
        let registers = OwnRegisters::here();
        // SAFETY: the caller has the waker, so `with` has not returned.
        let this = unsafe { Self::from_data(data) };
        let leaf = this.take.take(OwnStack::new(&registers, &this.root));
        let registration = Arc::new(Registration(this.runtimes.clone()));
        // The raw waker takes over the clone's reference.
        let clone = ManuallyDrop::new(Waker::from(Arc::clone(&registration)));
        this.clones.lock().unwrap_or_else(PoisonError::into_inner).push((registration, leaf));
        RawWaker::new(clone.data(), clone.vtable())
    }

    /// Never called: the one waker with this table is only lent. Waking by value must also drop the
    /// waker, which does nothing here.
    unsafe fn wake(data: *const ()) {
        // SAFETY: as for `wake_by_ref`.
        unsafe { Self::wake_by_ref(data) };
    }

    unsafe fn wake_by_ref(data: *const ()) {
        // SAFETY: the caller has the waker, so `with` has not returned.
        unsafe { Self::from_data(data) }.runtimes.wake_by_ref();
    }

    /// The waker owns nothing.
    unsafe fn drop(_: *const ()) {}
}

/// A static, so that it exists once: its address identifies the waker.
static TABLE: RawWakerVTable =
    RawWakerVTable::new(Capture::clone, Capture::wake, Capture::wake_by_ref, Capture::drop);

/// Whether this is the waker of a [`Capture`].
pub(super) fn is_capturing(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &raw const TABLE)
}

/// Whether waking by value and by reference is the same function for this waker: it owns nothing.
pub(super) fn owns_nothing(waker: &Waker) -> bool {
    type Functions = [*const (); 4];
    if size_of::<RawWakerVTable>() != size_of::<Functions>() {
        // Not known: the table has other fields in this version of Rust.
        return true;
    }
    // SAFETY: the table is borrowed, and it has four fields of the size of a pointer, which are
    // function pointers, so that any four words of it are initialized. Nothing is done with them
    // but to compare their addresses.
    let functions = unsafe { std::ptr::from_ref(waker.vtable()).cast::<Functions>().read() };
    let addresses = functions.map(<*const ()>::addr);
    // Which field is which is not specified.
    (1..addresses.len()).any(|index| addresses[..index].contains(&addresses[index]))
}

/// The waker that a future keeps during a trace: the runtime's, counted.
struct Registration(Waker);

impl Wake for Registration {
    fn wake(self: Arc<Self>) {
        match Arc::try_unwrap(self) {
            Ok(last) => last.0.wake(),
            Err(shared) => shared.0.wake_by_ref(),
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_by_ref();
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use std::sync::atomic::Ordering;

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
            waker.wake_by_ref();
            assert!(is_capturing(waker) && !is_capturing(&runtimes));
            (waker.clone(), waker.clone().clone())
        });
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
        fn wake(_: *const ()) {
            std::hint::black_box(17);
        }
        // SAFETY: its functions do nothing with the pointer.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), TABLE)) };
        assert!(owns_nothing(&waker));
        assert!(!owns_nothing(&Waker::from(Arc::new(Counting::default()))));
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
}
