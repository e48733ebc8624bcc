//! What tokio says about the runtimes that reports describe, and how many of their tasks are
//! tracked. Nothing here adds a runtime.

use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor, RuntimeMetrics};

use super::counts;
use super::entry::Entry;
use super::registered;
use super::runtimes::{self, Watched};
use crate::model::Runtime;
use crate::sys;

/// How often the tasks are counted while the difference may be of tasks that are just ending, or a
/// runtime may have been dropped.
const LOOKS: usize = 4;

/// The time between two counts, in which a thread that was stopped in between may go on.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a worker has to stay in the same round of polls to count as stuck. tokio counts the
/// time of a worker's polls whenever the worker has made 61 of them: those of a busy worker, which
/// take microseconds each, end well within this time.
const STUCK: Duration = Duration::from_millis(20);

/// What tokio says about the runtimes, each with its number, in the order in which they were added.
/// Takes 20 ms longer if workers that are stuck are to be counted. `None` if a thread was stopped
/// while it added a runtime.
pub(crate) fn all(count_stuck: bool) -> Option<Vec<(u8, Runtime)>> {
    let watched = runtimes::watched()?;
    let mut runtimes: Vec<Runtime> = watched.iter().map(|watched| describe(&watched.handle)).collect();
    if count_stuck {
        let before: Vec<_> = watched.iter().map(|watched| rounds(&watched.handle)).collect();
        sys::sleep(STUCK);
        for ((before, watched), runtime) in before.iter().zip(&watched).zip(&mut runtimes) {
            let now = rounds(&watched.handle);
            let is_stuck = |(before, now): &(_, &(u64, Duration))| before == now && now.0.is_multiple_of(2);
            runtime.stuck_workers = Some(before.iter().zip(&now).filter(is_stuck).count());
        }
    }
    for look in 0..LOOKS {
        if look > 0 {
            sys::sleep(PAUSE);
        }
        let started_before = registered::started();
        let Some(tracked) = counts::tracked() else { break };
        // Those that have started since may be alive, and so may those that were not polled yet,
        // on any of the runtimes.
        let may_be_tracked = || {
            let started = registered::started().saturating_sub(started_before);
            tracked.new.saturating_add(usize::try_from(started).unwrap_or(usize::MAX))
        };
        let mut is_settled = true;
        for (Watched { number, handle, .. }, runtime) in watched.iter().zip(&mut runtimes) {
            let number = usize::from(*number);
            let metrics = handle.metrics();
            let alive = metrics.num_alive_tasks();
            let untracked = alive.saturating_sub(tracked.counted[number].saturating_add(may_be_tracked()));
            if runtime.untracked_tasks.is_none_or(|least| untracked < least) {
                (runtime.alive_tasks, runtime.untracked_tasks) = (alive, Some(untracked));
            }
            // A task is no longer tracked from when its future is dropped, and alive a moment
            // longer: as many as there are threads that can be in that moment.
            is_settled &=
                !runtime.untracked_tasks.is_some_and(|least| (1..=2 * runtime.workers).contains(&least));
            // Looked at twice: a worker may be about to park.
            let may_be_dropped = runtimes::may_be_dropped(&metrics) && !tracked.is_used[number];
            runtime.may_be_dropped = may_be_dropped && (look == 0 || runtime.may_be_dropped);
            is_settled &= look > 0 || !runtime.may_be_dropped;
        }
        if is_settled {
            break;
        }
    }
    Some(watched.iter().map(|watched| watched.number).zip(runtimes).collect())
}

/// The number of the runtime whose workers poll the task, if it is known.
pub(crate) fn runtime_of_workers(task: &Entry) -> Option<u8> {
    counts::counted(task.runtime())
}

/// For each worker, a number that is odd while it sleeps and grows when it falls asleep and wakes
/// up, and the time of its polls.
fn rounds(handle: &Handle) -> Vec<(u64, Duration)> {
    let metrics = handle.metrics();
    let of_worker =
        |worker| (metrics.worker_park_unpark_count(worker), metrics.worker_total_busy_duration(worker));
    (0..metrics.num_workers()).map(of_worker).collect()
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
        may_be_dropped: false,
        queued_tasks: metrics.global_queue_depth(),
        stuck_workers: None,
        worker_busy_ms: (0..metrics.num_workers()).map(|worker| busy_ms(&metrics, worker)).collect(),
    }
}

fn busy_ms(metrics: &RuntimeMetrics, worker: usize) -> u64 {
    u64::try_from(metrics.worker_total_busy_duration(worker).as_millis()).unwrap_or(u64::MAX)
}
