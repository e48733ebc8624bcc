//! The waker that takes a stack whenever it is cloned.
//!
//! It lives on the stack of one poll, which it does not outlive: its clones are not copies of it but clones of the runtime's own waker. So a leaf that keeps what it was given keeps what it would have
//! been given without gmr.

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// The part of a stack that is a task's: above `leaf`, an address in the frame of the function that takes the stack, up to the frame that has `root` in it. Frames further out are those of whoever
/// polls the task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) leaf: usize,
    pub(super) root: usize,
}

/// What a poll with this waker has seen.
pub(super) struct Capture<'a, B> {
    runtimes: &'a Waker,
    take: fn(Span) -> B,
    branches: Mutex<Vec<B>>,
}

impl<'a, B: Send> Capture<'a, B> {
    /// `take` is called for each clone.
    pub(super) fn new(runtimes: &'a Waker, take: fn(Span) -> B) -> Self {
        Self { runtimes, take, branches: Mutex::default() }
    }

    /// Calls `poll` with the waker.
    pub(super) fn with<T>(&self, poll: impl FnOnce(&Waker) -> T) -> T {
        let data: *const () = std::ptr::from_ref(self).cast();
        // SAFETY: the functions of the table take `data` for a `Capture<'_, B>`, which it is. It is borrowed for as long as this waker exists: `poll` gets the waker by reference, for a lifetime that ends with this
        // call, and clones are wakers of the runtime's. `Waker` is `Send` and `Sync`, so `poll` may lend it to other threads for that time: `Capture` is `Sync`, since `B` is `Send`.
        let waker = unsafe { Waker::from_raw(RawWaker::new(data, Self::TABLE)) };
        poll(&waker)
    }

    /// The stacks that were taken.
    pub(super) fn branches(self) -> Vec<B> {
        self.branches.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    const TABLE: &'static RawWakerVTable =
        &RawWakerVTable::new(Self::cloned, Self::never_by_value, Self::wake_by_ref, Self::dropped);

    /// # Safety
    /// `data` must be what [`with`](Self::with) has put into the waker, during that call.
    unsafe fn of<'b>(data: *const ()) -> &'b Self {
        // SAFETY: the caller vouches that it points to a `Capture` that is borrowed for long enough.
        unsafe { &*data.cast::<Self>() }
    }

    unsafe fn cloned(data: *const ()) -> RawWaker {
        // SAFETY: whoever calls this has the waker, so it is during `with`.
        let this = unsafe { Self::of(data) };
        let here = 0_u8;
        let leaf = std::ptr::from_ref(std::hint::black_box(&here)).addr();
        let branch = (this.take)(Span { leaf, root: data.addr() });
        this.branches.lock().unwrap_or_else(PoisonError::into_inner).push(branch);
        // The clone's own reference goes over into the raw waker.
        let clone = ManuallyDrop::new(this.runtimes.clone());
        RawWaker::new(clone.data(), clone.vtable())
    }

    /// The one waker with this table is lent, and never given away; waking it by value would leave nothing to drop, which is what dropping it does as well.
    unsafe fn never_by_value(data: *const ()) {
        // SAFETY: as for `wake_by_ref`.
        unsafe { Self::wake_by_ref(data) };
    }

    unsafe fn wake_by_ref(data: *const ()) {
        // SAFETY: whoever calls this has the waker, so it is during `with`.
        unsafe { Self::of(data) }.runtimes.wake_by_ref();
    }

    /// It owns nothing.
    unsafe fn dropped(_: *const ()) {}
}

/// Whether it is such a waker.
pub(super) fn is_capturing<B: Send>(waker: &Waker) -> bool {
    // Tables may be merged or doubled by the compiler. A false answer costs a needless look at a waker.
    std::ptr::eq(waker.vtable(), Capture::<B>::TABLE)
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::task::tests::Counting;

    #[test]
    fn a_clone_is_the_runtimes_and_leaves_a_branch() {
        let counting = Arc::new(Counting::default());
        let runtimes = Waker::from(Arc::clone(&counting));
        let capture = Capture::new(&runtimes, |span| {
            // Those of an interpreter do not.
            assert!(cfg!(miri) || span.leaf < span.root, "stacks grow downwards");
            7
        });
        let kept = capture.with(|waker| {
            waker.wake_by_ref();
            assert!(is_capturing::<i32>(waker) && !is_capturing::<i32>(&runtimes));
            (waker.clone(), waker.clone().clone())
        });
        assert_eq!(capture.branches(), [7, 7], "the clone of a clone is none of ours");
        // An interpreter gives the same table several addresses.
        assert!(cfg!(miri) || kept.0.will_wake(&runtimes) && kept.1.will_wake(&runtimes));
        assert!(!is_capturing::<i32>(&kept.0) && !is_capturing::<i32>(&kept.1));
        assert_eq!(counting.0.load(Ordering::Relaxed), 1);
        kept.0.wake();
        drop(kept.1);
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
        drop(runtimes);
        assert_eq!(Arc::strong_count(&counting), 1, "none is left over");
    }

    #[test]
    fn it_may_be_cloned_on_another_thread_meanwhile() {
        let runtimes = Waker::from(Arc::new(Counting::default()));
        let capture = Capture::new(&runtimes, |_| ());
        capture.with(|waker| {
            std::thread::scope(|scope| {
                scope.spawn(|| drop(waker.clone()));
                drop(waker.clone());
            });
        });
        assert_eq!(capture.branches().len(), 2);
    }
}
