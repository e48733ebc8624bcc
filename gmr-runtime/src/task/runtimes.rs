//! The tokio runtimes that reports describe: those that tracked tasks were spawned on, and those
//! that the program added. Nothing here spawns a task or stops a runtime.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::LocalSet;

use crate::model::Runtime;

/// The most runtimes that are kept. For a program that creates runtimes all the time, a list of
/// them would be of no use.
const MOST: usize = 16;

static WATCHED: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether this thread has added its runtime.
    static NOTICED: Cell<bool> = const { Cell::new(false) };
}

/// Adds the calling thread's runtime, the first time that a thread has one.
pub(crate) fn notice() {
    let noticed = NOTICED.try_with(Cell::get).unwrap_or(true);
    if !noticed && let Ok(handle) = Handle::try_current() {
        watch(&handle);
        let _ = NOTICED.try_with(|noticed| noticed.set(true));
    }
}

/// Shows this runtime in reports, in addition to those that tracked tasks were spawned on. gmr
/// keeps the handle until the process ends.
pub fn watch(handle: &Handle) {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if watched.len() < MOST && !watched.iter().any(|other| other.id() == handle.id()) {
        watched.push(handle.clone());
    }
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

/// What tokio says about the runtimes, in the order in which they were added.
pub(crate) fn all() -> Vec<Runtime> {
    let Ok(watched) = WATCHED.try_lock() else { return Vec::new() };
    watched.iter().map(describe).collect()
}

fn describe(handle: &Handle) -> Runtime {
    let metrics = handle.metrics();
    let flavor = match handle.runtime_flavor() {
        RuntimeFlavor::CurrentThread => "current thread",
        RuntimeFlavor::MultiThread => "multi-thread",
        _ => "other",
    };
    let busy = |worker| metrics.worker_total_busy_duration(worker).as_millis();
    Runtime {
        kind: format!("tokio, {flavor}"),
        workers: metrics.num_workers(),
        alive_tasks: metrics.num_alive_tasks(),
        queued_tasks: metrics.global_queue_depth(),
        worker_busy_ms: (0..metrics.num_workers())
            .map(|worker| u64::try_from(busy(worker)).unwrap_or(u64::MAX))
            .collect(),
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_noticed_on_a_thread_that_had_none_before() {
        // A thread of its own: others of the test's may have noticed a runtime.
        let test = std::thread::spawn(|| {
            notice();
            assert!(!NOTICED.get());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _entered = runtime.enter();
            notice();
            assert!(NOTICED.get());
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
