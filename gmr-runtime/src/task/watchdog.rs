//! The option `watchdog`: whether tokio's runtimes poll their tasks. It spawns a task that does
//! nothing, one at a time on each runtime, and sees when it has been polled. It starts no thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id, RuntimeFlavor};

use super::WATCHDOG;
use super::counts::{Number, uncounted};
use super::registered::TASKS;
use super::runtimes::{self, Watched};
use super::tracked::named;

/// The tasks that are to be polled.
pub(crate) struct Watchdog {
    limit: Duration,
    probes: Vec<Probe>,
}

struct Probe {
    runtime: Id,
    since: Instant,
    /// Set when the task has been polled, or dropped with its runtime.
    is_over: Arc<AtomicBool>,
}

impl Watchdog {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, probes: Vec::new() }
    }

    /// How often to look.
    pub(crate) fn every(&self) -> Duration {
        (self.limit / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// What is wrong. `late` is how much later this is called than it should be: then the process
    /// had no processor, or was stopped, and its workers are given as much time again.
    pub(crate) fn look(&mut self, late: Duration) -> Option<String> {
        let runtimes = runtimes::watched()?;
        self.probes.retain(|probe| runtimes.iter().any(|watched| watched.handle.id() == probe.runtime));
        let mut problems = Vec::new();
        for Watched { handle, number, .. } in &runtimes {
            let runtime = handle.id();
            match self.probes.iter_mut().find(|probe| probe.runtime == runtime) {
                Some(probe) if !probe.is_over.load(Ordering::Relaxed) => {
                    probe.since += late;
                    let since = probe.since.elapsed();
                    if since > self.limit && is_driven(handle, *number) {
                        problems.push(problem(handle, since));
                    }
                }
                known => {
                    let is_over = spawn(handle, *number);
                    let probe = Probe { runtime, since: Instant::now(), is_over };
                    match known {
                        Some(known) => *known = probe,
                        None => self.probes.push(probe),
                    }
                }
            }
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

/// Spawns the task, unless nobody may poll it: a runtime of one thread polls only inside
/// `block_on`.
fn spawn(handle: &Handle, number: Number) -> Arc<AtomicBool> {
    struct Over(Arc<AtomicBool>);
    impl Drop for Over {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = Arc::new(AtomicBool::new(!is_driven(handle, number)));
    if !is_over.load(Ordering::Relaxed) {
        let over = Over(Arc::clone(&is_over));
        // Dropped at its first poll, or with the runtime.
        handle.spawn(named(WATCHDOG, async move { drop(over) }).on(number));
    }
    is_over
}

/// Whether the runtime has threads that poll its tasks: workers, or the one that polls `main` on
/// it.
fn is_driven(handle: &Handle, number: Number) -> bool {
    if handle.runtime_flavor() == RuntimeFlavor::MultiThread {
        return true;
    }
    let mut has_main = false;
    TASKS.for_each(|task| {
        has_main |= task.name == "main" && [number, uncounted(number)].contains(&task.runtime());
    });
    has_main
}

fn problem(handle: &Handle, since: Duration) -> String {
    let kind = match handle.runtime_flavor() {
        RuntimeFlavor::CurrentThread => "one thread".to_owned(),
        _ => format!("{} workers", handle.metrics().num_workers()),
    };
    format!("a runtime of tokio ({kind}) has not polled a new task for {:.1} s", since.as_secs_f64())
}

#[cfg(all(test, not(gmr_loom), not(gmr_units)))]
mod tests {
    use std::sync::mpsc::channel;

    use tokio::runtime::Builder;

    use super::*;

    /// What is wrong with this runtime, of those that other tests have.
    fn look_until(watchdog: &mut Watchdog, workers: &str, is_wrong: bool) {
        let start = Instant::now();
        while watchdog.look(Duration::ZERO).is_some_and(|problem| problem.contains(workers)) != is_wrong {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_runtime_whose_workers_are_blocked_is_found_until_they_run_again() {
        let runtime = Builder::new_multi_thread().worker_threads(3).build().unwrap();
        runtimes::watch(runtime.handle());
        let mut watchdog = Watchdog::new(Duration::from_millis(20));
        let (end, ended) = channel::<()>();
        let ended = Arc::new(std::sync::Mutex::new(ended));
        for _ in 0..3 {
            let ended = Arc::clone(&ended);
            runtime.spawn(async move { drop(ended.lock().map(|ended| ended.recv())) });
        }
        look_until(&mut watchdog, "3 workers", true);
        drop(end);
        look_until(&mut watchdog, "3 workers", false);
    }

    #[test]
    fn a_runtime_that_nobody_drives_or_that_is_gone_is_not_watched() {
        let idle = Builder::new_current_thread().build().unwrap();
        let handle = idle.handle().clone();
        assert!(spawn(&handle, runtimes::number(&handle)).load(Ordering::Relaxed));
        let gone = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = gone.handle().clone();
        drop(gone);
        assert!(spawn(&handle, 0).load(Ordering::Relaxed), "the task was dropped");
    }
}
