//! The tokio runtimes that reports tell about: those that tracked tasks were spawned on, or that somebody has named.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::model::Runtime;

/// Beyond this many, none is added: a program that makes runtimes all the time is not served by a list of them.
const MOST: usize = 16;

static WATCHED: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether this thread has noticed its runtime already.
    static NOTICED: Cell<bool> = const { Cell::new(false) };
}

/// Adds the runtime of the calling thread.
pub(super) fn notice() {
    let known = NOTICED.try_with(|noticed| noticed.replace(true)).unwrap_or(true);
    if !known && let Ok(handle) = Handle::try_current() {
        watch(&handle);
    }
}

/// Shows this runtime in reports, besides those that tracked tasks were spawned on. Its handle is kept until the process ends.
pub fn watch(handle: &Handle) {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if watched.len() < MOST && !watched.iter().any(|other| other.id() == handle.id()) {
        watched.push(handle.clone());
    }
}

/// What tokio tells of them, in the order in which they were seen.
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
