//! The tokio runtimes that reports describe: those that tracked tasks were spawned on, and those
//! that the program added. Nothing here spawns a task or stops a runtime.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::ptr;
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Handle, Id, RuntimeFlavor};
use tokio::task::LocalSet;

use crate::sys::forked_lock::lock_within;

/// The most runtimes that are kept. For a program that creates runtimes all the time, a list of
/// them would be of no use.
pub(super) const MOST: usize = 16;

/// Longer than any thread holds the lock.
const LOCKED_WITHIN: Duration = Duration::from_millis(100);

static WATCHED: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

/// The number of a runtime in a task's entry: from 1, in the order in which the runtimes were added.
pub(super) type Number = u8;

/// A runtime that is not kept, or none.
pub(super) const UNKNOWN: Number = 0;

/// A task of a `LocalSet`, or a closure on a blocking thread, which no runtime counts.
pub(super) const UNCOUNTED: Number = Number::MAX;

thread_local! {
    /// The runtime that this thread has looked up last, with its number.
    static LAST: Cell<Option<(Id, Number)>> = const { Cell::new(None) };
}

/// Adds the calling thread's runtime, if it has one, and returns its number.
pub(crate) fn notice() -> Number {
    Handle::try_current().map_or(UNKNOWN, |handle| number(&handle))
}

/// Adds the calling thread's runtime, and returns the number for a task that is spawned by
/// `spawn_local` there. It is one of a `LocalSet`, or of a `LocalRuntime`, which has a single thread.
pub(super) fn number_of_local() -> Number {
    let Ok(handle) = Handle::try_current() else { return UNKNOWN };
    number(&handle);
    if handle.runtime_flavor() == RuntimeFlavor::MultiThread { UNCOUNTED } else { UNKNOWN }
}

/// Adds this runtime, and returns its number.
pub(super) fn number(handle: &Handle) -> Number {
    let id = handle.id();
    if let Ok(Some((last, number))) = LAST.try_with(Cell::get)
        && last == id
    {
        return number;
    }
    let number = add(handle);
    let _ = LAST.try_with(|last| last.set(Some((id, number))));
    number
}

/// Shows this runtime in reports, in addition to those that tracked tasks were spawned on. gmr
/// keeps the handle until the process ends.
pub fn watch(handle: &Handle) {
    add(handle);
}

#[cold]
fn add(handle: &Handle) -> Number {
    // In a forked child, the lock of a thread of the parent stays locked.
    let Some(mut watched) = lock_within(&WATCHED, LOCKED_WITHIN) else { return UNKNOWN };
    let known = watched.iter().position(|other| other.id() == handle.id());
    let index = known.or_else(|| {
        (watched.len() < MOST).then(|| {
            watched.push(handle.clone());
            watched.len() - 1
        })
    });
    index.and_then(|index| Number::try_from(index + 1).ok()).unwrap_or(UNKNOWN)
}

/// The address of the table that the wakers of tokio's tasks have in common. `None` outside of a
/// runtime, until it is known.
///
/// A task that is never run by a runtime tells it: it is polled here, once.
pub(super) fn table_of_tasks() -> Option<usize> {
    static TABLE: OnceLock<usize> = OnceLock::new();
    if TABLE.get().is_none() && Handle::try_current().is_ok() {
        let set = LocalSet::new();
        set.spawn_local(poll_fn(|context| {
            let _ = TABLE.set(ptr::from_ref(context.waker().vtable()).addr());
            Poll::Ready(())
        }));
        let _ = pin!(set).poll(&mut Context::from_waker(Waker::noop()));
    }
    TABLE.get().copied()
}

/// The runtimes, in the order of their numbers. None if a thread is adding one right now.
pub(super) fn watched() -> Vec<Handle> {
    WATCHED.try_lock().map(|watched| watched.clone()).unwrap_or_default()
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_number_of_the_runtime_that_it_is_in() {
        // A thread of its own: others of the test's may have noticed a runtime.
        let test = std::thread::spawn(|| {
            assert_eq!(notice(), UNKNOWN);
            let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (one, other) = (runtime(), runtime());
            let number_in = |runtime: &tokio::runtime::Runtime| {
                let _entered = runtime.enter();
                notice()
            };
            let (first, second) = (number_in(&one), number_in(&other));
            assert_eq!((number_in(&one), number_in(&other)), (first, second));
            // Unless other tests have used up all numbers.
            assert!(first == UNKNOWN || first != second);
        });
        test.join().unwrap();
    }

    #[test]
    fn the_wakers_of_tokios_tasks_are_recognized() {
        let table = || poll_fn(|context| Poll::Ready(ptr::from_ref(context.waker().vtable()).addr()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let of_task = runtime.block_on(async { tokio::spawn(table()).await.unwrap() });
        assert_eq!(runtime.block_on(async { table_of_tasks() }), Some(of_task));
        let set = LocalSet::new();
        let of_local = set.block_on(&runtime, async { tokio::task::spawn_local(table()).await.unwrap() });
        assert_eq!(of_local, of_task);
        // `block_on` has a waker of another kind.
        assert_ne!(runtime.block_on(table()), of_task);
    }
}
