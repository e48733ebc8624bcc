//! The wakers that gmr gives to a future in place of its runtime's.
//!
//! [`Capture`] is the waker of a poll that a trace looks at. It takes the stack whenever it is
//! cloned, and knows at the end of the poll which of its clones are still kept. It lives on the
//! stack of one poll and does not outlive it. A clone is a [`Passing`], which passes each wake-up
//! on to the runtime's waker; a future that is polled again without a trace replaces it.
//!
//! gmr needs a waker to wake a task for a trace, and may not keep a task alive by holding one: the
//! wakers of many executors own their task. [`Kept`] is what it holds. This file does not know how
//! a stack is unwound.

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::branch::Branch;
use crate::capture::{OwnRegisters, OwnStack, Root};
use crate::sys::own_threads;

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
    clones: Mutex<Vec<(Arc<Passing>, Option<Branch>)>>,
    /// Whether it was woken, during the poll.
    woken: AtomicBool,
}

impl<'a> Capture<'a> {
    pub(super) fn new(runtimes: &'a Waker, take: &'a dyn Take) -> Self {
        Self { root: Root::new(), runtimes, take, clones: Mutex::default(), woken: AtomicBool::new(false) }
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

    /// Whether the future has woken its task during the poll.
    pub(super) fn was_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed)
    }

    /// Where those clones were made that are still kept, in the order in which they were made.
    /// `None` if the stack of one was not taken.
    pub(super) fn leaves(self) -> Option<Vec<Branch>> {
        let clones = self.clones.into_inner().unwrap_or_else(PoisonError::into_inner);
        // One reference is this list's. A future that has completed or was dropped during the poll
        // has dropped its clone.
        let kept = |(clone, leaf)| (Arc::strong_count(&clone) > 1).then_some(leaf);
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
        let clone = Arc::new(Passing(this.runtimes.clone()));
        let raw = Passing::raw(Arc::clone(&clone));
        this.clones.lock().unwrap_or_else(PoisonError::into_inner).push((clone, leaf));
        raw
    }

    /// Never called: the one waker with this table is only lent. Waking by value must also drop the
    /// waker, which does nothing here.
    unsafe fn wake(data: *const ()) {
        // SAFETY: as for `wake_by_ref`.
        unsafe { Self::wake_by_ref(data) };
    }

    unsafe fn wake_by_ref(data: *const ()) {
        // SAFETY: the caller has the waker, so `with` has not returned.
        let this = unsafe { Self::from_data(data) };
        this.woken.store(true, Ordering::Relaxed);
        this.runtimes.wake_by_ref();
    }

    /// The waker owns nothing.
    unsafe fn drop(_: *const ()) {}
}

/// The waker's data pointer does not show the compiler that other threads may use a `Capture`.
const _: () = {
    const fn assert_sync<T: Sync>() {}
    assert_sync::<Capture<'_>>();
};

/// A static, so that it exists once: its address identifies the waker.
static TABLE: RawWakerVTable =
    RawWakerVTable::new(Capture::clone, Capture::wake, Capture::wake_by_ref, Capture::drop);

/// Whether this is the waker of a [`Capture`].
pub(super) fn is_capturing(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &raw const TABLE)
}

/// The addresses of the functions in a waker's table. Which of them is which is not specified.
/// `None` if the table has other fields in this version of Rust.
fn functions(waker: &Waker) -> Option<[usize; 4]> {
    type Functions = [*const (); 4];
    if size_of::<RawWakerVTable>() != size_of::<Functions>() {
        return None;
    }
    // SAFETY: the table is borrowed. `RawWakerVTable::new` takes four function pointers, and a
    // table of their size has space for nothing else, so that any four words of it are initialized.
    // Nothing is done with them but to compare their addresses.
    let functions = unsafe { std::ptr::from_ref(waker.vtable()).cast::<Functions>().read() };
    Some(functions.map(<*const ()>::addr))
}

/// How many of the waker's functions are the same.
fn equal_functions(waker: &Waker) -> Option<usize> {
    let functions = functions(waker)?;
    let same = |function| functions.iter().filter(|other| *other == function).count();
    functions.iter().map(same).max()
}

/// Whether two of the waker's functions are the same, as waking by value and by reference is for a
/// waker that owns nothing.
fn has_equal_functions(waker: &Waker) -> Option<bool> {
    Some(equal_functions(waker)? > 1)
}

/// Whether waking does nothing: it is `Waker::noop()`, or to wake, by value and by reference, is
/// the same function as to drop the waker. An executor with such wakers polls its tasks all the
/// time, or whenever it likes.
pub(super) fn ignores_wakes(waker: &Waker) -> bool {
    is_noop(waker) || equal_functions(waker).is_some_and(|equal| equal > 2)
}

/// Each crate may have a table of its own for this waker.
fn is_noop(waker: &Waker) -> bool {
    waker.will_wake(Waker::noop())
        || functions(waker).is_some_and(|functions| Some(functions) == self::functions(Waker::noop()))
}

/// A clone of the waker that the task would not have made. `None` if cloning it panics: the panic
/// must not reach the program.
pub(super) fn cloned(waker: &Waker) -> Option<Waker> {
    let mut clone = None;
    let _ = own_threads::catch(|| clone = Some(waker.clone()));
    clone
}

/// Whether the waker is only lent for a poll, so that its clone is a waker of another kind. Then it
/// can carry data of the code that has lent it. That code may look for the data, and panic if it
/// finds another waker.
pub(super) fn is_lent(waker: &Waker, clone: &Waker) -> bool {
    // Not the tables: one that is a constant may have several addresses.
    waker.data() != clone.data()
}

/// Whether gmr may clone and drop the waker wherever it likes: that runs no code of the program's.
pub(super) fn runs_no_code(waker: &Waker) -> bool {
    is_noop(waker) || is_of_tokios_task(waker)
}

/// Whether the waker owns nothing, or this is not known.
pub(super) fn may_own_nothing(waker: &Waker) -> bool {
    has_equal_functions(waker).unwrap_or(true)
}

/// Whether the waker may own its task, so that the task lives for as long as the waker.
pub(super) fn may_own_its_task(waker: &Waker) -> bool {
    !has_equal_functions(waker).unwrap_or(false) && !runs_no_code(waker)
}

/// Whether the waker is one of tokio's tasks. The runtime owns these, and drops their futures
/// whoever holds a waker.
#[cfg(feature = "tokio")]
pub(super) fn is_of_tokios_task(waker: &Waker) -> bool {
    super::tokio_wakers::table_of_tasks() == Some(std::ptr::from_ref(waker.vtable()).addr())
}

#[cfg(not(feature = "tokio"))]
fn is_of_tokios_task(_: &Waker) -> bool {
    false
}

/// A waker that passes each wake-up on to another one, which it owns. Futures keep it in place of
/// the runtime's, so that gmr can count its owners, and reach it without being one of them.
#[derive(Debug)]
pub(super) struct Passing(Waker);

impl Passing {
    pub(super) fn new(runtimes: Waker) -> Arc<Self> {
        Arc::new(Self(runtimes))
    }

    /// This waker; it takes over the reference.
    pub(super) fn waker(this: Arc<Self>) -> Waker {
        // SAFETY: the functions of the table take the pointer for one that `Arc::into_raw` has
        // returned for a `Passing`, which it is, and for one reference, which it has. `Passing` is
        // `Send` and `Sync`.
        unsafe { Waker::from_raw(Self::raw(this)) }
    }

    fn raw(this: Arc<Self>) -> RawWaker {
        RawWaker::new(Arc::into_raw(this).cast(), &PASSING)
    }

    /// The same as this waker, if it is a `Passing`, without being one of its owners.
    pub(super) fn find(waker: &Waker) -> Option<Kept> {
        if !std::ptr::eq(waker.vtable(), &raw const PASSING) {
            return None;
        }
        // SAFETY: only `raw` makes wakers with this table, so that the pointer is of an `Arc`; the
        // waker has a reference, and is borrowed. `ManuallyDrop` leaves it that reference.
        let this = unsafe { ManuallyDrop::new(Arc::from_raw(waker.data().cast::<Self>())) };
        Some(Kept::Passing(Arc::downgrade(&this), Kind::of(&this.0)))
    }

    /// # Safety
    /// `data` must be that of a waker with the table [`PASSING`], which exists.
    unsafe fn clone(data: *const ()) -> RawWaker {
        // SAFETY: the caller guarantees that the pointer is of an `Arc` with a reference.
        unsafe { Arc::increment_strong_count(data.cast::<Self>()) };
        RawWaker::new(data, &PASSING)
    }

    /// # Safety
    /// As for [`clone`](Self::clone), and the waker must not be used afterwards.
    unsafe fn wake(data: *const ()) {
        // SAFETY: the caller guarantees that the pointer is of an `Arc`, and gives up a reference.
        match Arc::try_unwrap(unsafe { Arc::from_raw(data.cast::<Self>()) }) {
            Ok(last) => last.0.wake(),
            Err(shared) => shared.0.wake_by_ref(),
        }
    }

    /// # Safety
    /// As for [`clone`](Self::clone).
    unsafe fn wake_by_ref(data: *const ()) {
        // SAFETY: the caller guarantees that the pointer is of an `Arc` with a reference.
        unsafe { &*data.cast::<Self>() }.0.wake_by_ref();
    }

    /// # Safety
    /// As for [`wake`](Self::wake).
    unsafe fn drop(data: *const ()) {
        // SAFETY: as for `wake`.
        drop(unsafe { Arc::from_raw(data.cast::<Self>()) });
    }
}

/// A static, so that it exists once: its address identifies the waker.
static PASSING: RawWakerVTable =
    RawWakerVTable::new(Passing::clone, Passing::wake, Passing::wake_by_ref, Passing::drop);

/// What identifies a kind of waker, and what is known of all of that kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// The address of its table.
    pub(super) table: usize,
    /// Whether it owns nothing, or this is not known.
    pub(super) may_own_nothing: bool,
    /// Whether waking does nothing.
    pub(super) ignores_wakes: bool,
}

impl Kind {
    pub(super) fn of(waker: &Waker) -> Self {
        Self {
            table: table(waker),
            may_own_nothing: may_own_nothing(waker),
            ignores_wakes: ignores_wakes(waker),
        }
    }
}

fn table(waker: &Waker) -> usize {
    std::ptr::from_ref(waker.vtable()).addr()
}

/// What gmr holds to wake a task by.
///
/// Looking at it and lending it runs no code of the program's, so both may happen under a lock. A
/// waker's functions may wait for a lock of the executor, under which that polls its tasks.
#[derive(Debug)]
pub(super) enum Kept {
    /// A waker that does not own its task, and [runs no code](runs_no_code).
    Plain(Waker),
    /// Another one that does not own its task.
    Foreign(Arc<Passing>),
    /// One that may: while one of the task's futures keeps it, gmr can use it.
    Passing(Weak<Passing>, Kind),
}

impl Kept {
    /// For a waker that does not own its task.
    pub(super) fn own(waker: Waker) -> Self {
        if runs_no_code(&waker) { Self::Plain(waker) } else { Self::Foreign(Passing::new(waker)) }
    }

    /// The kind of the runtime's waker; `None` if no future keeps it.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Plain(waker) => Some(Kind::of(waker)),
            Self::Foreign(passing) => Some(Kind::of(&passing.0)),
            Self::Passing(passing, kind) => (passing.strong_count() > 0).then_some(*kind),
        }
    }

    /// For waking the task once; `None` if no future keeps the runtime's waker.
    pub(super) fn lend(&self) -> Option<Lent> {
        let lent = |passing: Arc<Passing>| Lent { table: table(&passing.0), waker: Passing::waker(passing) };
        match self {
            Self::Plain(waker) => Some(Lent { table: table(waker), waker: waker.clone() }),
            Self::Foreign(passing) => Some(lent(Arc::clone(passing))),
            Self::Passing(passing, _) => passing.upgrade().map(lent),
        }
    }
}

/// A waker for one use. Using and dropping it runs code of the program's.
pub(super) struct Lent {
    waker: Waker,
    table: usize,
}

impl Lent {
    /// The table of the runtime's waker.
    pub(super) fn table(&self) -> usize {
        self.table
    }

    pub(super) fn wake(self) {
        self.waker.wake();
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests;
