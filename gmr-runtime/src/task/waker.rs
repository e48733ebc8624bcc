//! The waker that takes a stack whenever it is cloned.
//!
//! It lives on the stack of one poll and does not outlive it: cloning it returns a clone of the
//! runtime's own waker. A leaf future that keeps a clone keeps what it would have kept without gmr.
//! This file does not know how a stack is taken.

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// The part of a stack that belongs to a task: above `leaf`, an address in the frame of the
/// function that takes the stack, up to the frame that contains `root`. Frames further out belong
/// to the caller of the poll.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) leaf: usize,
    pub(super) root: usize,
}

/// Collects a stack for each clone of the waker during one poll.
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
        // SAFETY: the functions of the table take `data` for a `Capture<'_, B>`, which it is. It is
        // borrowed for as long as this waker exists: `poll` gets the waker by reference, for a
        // lifetime that ends with this call, and clones are wakers of the runtime's. `Waker` is
        // `Send` and `Sync`, so `poll` may lend it to other threads for that time: `Capture` is
        // `Sync`, since `B` is `Send`.
        let waker = unsafe { Waker::from_raw(RawWaker::new(data, Self::TABLE)) };
        poll(&waker)
    }

    /// The stacks that were taken, in the order of the clones.
    pub(super) fn branches(self) -> Vec<B> {
        self.branches.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    const TABLE: &'static RawWakerVTable =
        &RawWakerVTable::new(Self::clone, Self::wake, Self::wake_by_ref, Self::drop);

    /// # Safety
    /// `data` must be what [`with`](Self::with) put into the waker, during that call.
    unsafe fn from_data<'b>(data: *const ()) -> &'b Self {
        // SAFETY: the caller guarantees that it points to a `Capture` that is borrowed for long
        // enough.
        unsafe { &*data.cast::<Self>() }
    }

    unsafe fn clone(data: *const ()) -> RawWaker {
        // SAFETY: the caller has the waker, so `with` has not returned.
        let this = unsafe { Self::from_data(data) };
        let here = 0_u8;
        let leaf = std::ptr::from_ref(std::hint::black_box(&here)).addr();
        let branch = (this.take)(Span { leaf, root: data.addr() });
        this.branches.lock().unwrap_or_else(PoisonError::into_inner).push(branch);
        // The raw waker takes over the clone's reference.
        let clone = ManuallyDrop::new(this.runtimes.clone());
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

/// Whether this is a waker of a [`Capture`].
pub(super) fn is_capturing<B: Send>(waker: &Waker) -> bool {
    // The compiler may duplicate tables. A wrong `false` costs a needless change of the kept waker.
    std::ptr::eq(waker.vtable(), Capture::<B>::TABLE)
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::task::counting::Counting;

    #[test]
    fn a_clone_is_the_runtimes_and_leaves_a_branch() {
        let counting = Arc::new(Counting::default());
        let runtimes = Waker::from(Arc::clone(&counting));
        let capture = Capture::new(&runtimes, |span| {
            // Miri's do not.
            assert!(cfg!(miri) || span.leaf < span.root, "stacks grow downwards");
            7
        });
        let kept = capture.with(|waker| {
            waker.wake_by_ref();
            assert!(is_capturing::<i32>(waker) && !is_capturing::<i32>(&runtimes));
            (waker.clone(), waker.clone().clone())
        });
        assert_eq!(capture.branches(), [7, 7], "cloning a clone takes no stack");
        // Miri gives the same table several addresses.
        assert!(cfg!(miri) || kept.0.will_wake(&runtimes) && kept.1.will_wake(&runtimes));
        assert!(!is_capturing::<i32>(&kept.0) && !is_capturing::<i32>(&kept.1));
        assert_eq!(counting.0.load(Ordering::Relaxed), 1);
        kept.0.wake();
        drop(kept.1);
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
        drop(runtimes);
        assert_eq!(Arc::strong_count(&counting), 1, "no reference is left over");
    }

    #[test]
    fn another_thread_may_clone_it_during_the_poll() {
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
