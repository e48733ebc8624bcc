//! The tokio runtimes that reports describe: those that tracked tasks were spawned on, and those
//! that the program added. Nothing here spawns a task or stops a runtime.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};

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
pub(super) fn notice() {
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
}
