//! What tokio says about the runtimes that reports describe, and how many of their tasks are tracked.
//! Nothing here adds a runtime.

use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor, RuntimeMetrics};

use super::registered::{self, TASKS};
use super::runtimes;
use crate::model::Runtime;
use crate::sys;

/// How often the tasks are counted while the difference may be of tasks that are just ending.
const LOOKS: usize = 4;

/// The time between two counts, in which a thread that was stopped in between may go on.
const PAUSE: Duration = Duration::from_millis(1);

/// What tokio says about the runtimes, in the order in which they were added.
pub(crate) fn all() -> Vec<Runtime> {
    let watched = runtimes::watched();
    let mut runtimes: Vec<Runtime> = watched.iter().map(describe).collect();
    for look in 0..LOOKS {
        if look > 0 {
            sys::sleep(PAUSE);
        }
        let started_before = registered::started();
        let Some(Tracked { by_runtime, new }) = tracked() else { break };
        let mut may_be_ending = false;
        for ((handle, runtime), tracked) in watched.iter().zip(&mut runtimes).zip(&by_runtime[1..]) {
            let alive = handle.metrics().num_alive_tasks();
            // Those that have started since may be alive, and so may those that were not polled yet,
            // on any of the runtimes.
            let started = registered::started().saturating_sub(started_before);
            let may_be_tracked = new.saturating_add(usize::try_from(started).unwrap_or(usize::MAX));
            let untracked = alive.saturating_sub(tracked.saturating_add(may_be_tracked));
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

/// How many tasks are tracked.
struct Tracked {
    /// On each runtime, by its number.
    by_runtime: [usize; runtimes::MOST + 1],
    /// Those whose runtime is not known before their first poll.
    new: usize,
}

/// `None` if some can't be read.
fn tracked() -> Option<Tracked> {
    let mut tracked = Tracked { by_runtime: [0; runtimes::MOST + 1], new: 0 };
    let is_read = TASKS.for_each(|task| {
        let runtime = task.runtime();
        tracked.new += usize::from(runtime == runtimes::UNKNOWN && task.polls() == 0);
        if let Some(count) = tracked.by_runtime.get_mut(usize::from(runtime)) {
            *count += 1;
        }
    });
    is_read.then_some(tracked)
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
