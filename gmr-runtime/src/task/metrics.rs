//! What tokio says about the runtimes that reports describe, and how many of their tasks are tracked.
//! Nothing here adds a runtime.

use tokio::runtime::{Handle, RuntimeFlavor, RuntimeMetrics};

use super::registered::TASKS;
use super::runtimes;
use crate::model::Runtime;

/// How often the tasks are counted while the difference may be of tasks that are just ending.
const LOOKS: usize = 8;

/// What tokio says about the runtimes, in the order in which they were added.
pub(crate) fn all() -> Vec<Runtime> {
    let watched = runtimes::watched();
    let mut runtimes: Vec<Runtime> = watched.iter().map(describe).collect();
    for _ in 0..LOOKS {
        let Some(tracked) = tracked() else { break };
        let mut may_be_ending = false;
        for ((handle, runtime), tracked) in watched.iter().zip(&mut runtimes).zip(&tracked[1..]) {
            let alive = handle.metrics().num_alive_tasks();
            let untracked = alive.saturating_sub(*tracked);
            if runtime.untracked_tasks.is_none_or(|least| untracked < least) {
                (runtime.alive_tasks, runtime.untracked_tasks) = (alive, Some(untracked));
            }
            // A task is no longer tracked from when its future is dropped, and alive a moment longer:
            // as many as there are threads that can be in that moment.
            may_be_ending |=
                runtime.untracked_tasks.is_some_and(|least| (1..=2 * runtime.workers).contains(&least));
        }
        if !may_be_ending {
            break;
        }
    }
    runtimes
}

/// How many tracked tasks each runtime has, by its number. `None` if some can't be read.
fn tracked() -> Option<[usize; runtimes::MOST + 1]> {
    let mut counts = [0; runtimes::MOST + 1];
    let is_read = TASKS.for_each(|task| {
        if let Some(count) = counts.get_mut(usize::from(task.runtime())) {
            *count += 1;
        }
    });
    is_read.then_some(counts)
}

fn describe(handle: &Handle) -> Runtime {
    let metrics = handle.metrics();
    let flavor = match handle.runtime_flavor() {
        RuntimeFlavor::CurrentThread => "current thread",
        RuntimeFlavor::MultiThread => "multi-thread",
        _ => "other",
    };
    Runtime {
        kind: format!("tokio, {flavor}"),
        workers: metrics.num_workers(),
        alive_tasks: metrics.num_alive_tasks(),
        untracked_tasks: None,
        queued_tasks: metrics.global_queue_depth(),
        worker_busy_ms: (0..metrics.num_workers()).map(|worker| busy_ms(&metrics, worker)).collect(),
    }
}

fn busy_ms(metrics: &RuntimeMetrics, worker: usize) -> u64 {
    u64::try_from(metrics.worker_total_busy_duration(worker).as_millis()).unwrap_or(u64::MAX)
}
