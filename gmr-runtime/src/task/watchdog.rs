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
        self.look_at(&runtimes::watched()?, late, Instant::now())
    }

    fn look_at(&mut self, runtimes: &[Watched], late: Duration, now: Instant) -> Option<String> {
        self.probes.retain(|probe| runtimes.iter().any(|watched| watched.handle.id() == probe.runtime));
        let mut problems = Vec::new();
        for Watched { handle, number, .. } in runtimes {
            let runtime = handle.id();
            match self.probes.iter_mut().find(|probe| probe.runtime == runtime) {
                Some(probe) if !probe.is_over.load(Ordering::Relaxed) => {
                    probe.since += late;
                    let since = now.saturating_duration_since(probe.since);
                    if since > self.limit && is_driven(handle, *number) {
                        problems.push(problem(handle, since));
                    }
                }
                known => {
                    let is_over = spawn(handle, *number);
                    let probe = Probe { runtime, since: now, is_over };
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
    /// A process that gets half of a processor, in one piece at any time of each period, and that is
    /// stopped now and then. Its runtime polls what it has to whenever the process runs, unless it is
    /// blocked. Returns how often something was wrong within so much time.
    fn simulated(time: Duration, blocked: impl Fn(Duration) -> bool) -> usize {
        const PERIOD: Duration = Duration::from_millis(100);
        const STOPPED_EVERY: u64 = 36_000;
        const STOPPED_FOR: u64 = 200;
        let runtime = Builder::new_current_thread().build().unwrap();
        let number = runtimes::number(runtime.handle());
        let main = named("main", std::future::pending::<()>()).on(number);
        let mut watchdog = Watchdog::new(Duration::from_secs(5));
        let start = Instant::now();
        let (mut due, mut random, mut found) = (Duration::ZERO, 1_u64, 0);
        let mut period = 0;
        while PERIOD * period < time {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let now = PERIOD * period + Duration::from_millis((random >> 33) % 50);
            period += 1;
            if u64::from(period) % STOPPED_EVERY < STOPPED_FOR {
                continue;
            }
            // Both are ready, and either may be first.
            let looks_first = random >> 63 == 0;
            if looks_first && !blocked(now) {
                runtime.block_on(tokio::task::yield_now());
            }
            if due <= now {
                let all = runtimes::watched().unwrap();
                let own: Vec<_> = all.into_iter().filter(|watched| watched.number == number).collect();
                found += usize::from(watchdog.look_at(&own, now.saturating_sub(due), start + now).is_some());
                due = now + watchdog.every();
            }
            if !looks_first && !blocked(now) {
                runtime.block_on(tokio::task::yield_now());
            }
        }
        drop(main);
        found
    }

    #[test]
    #[cfg_attr(miri, ignore = "a day takes too long")]
    fn a_runtime_with_half_of_a_processor_is_not_blocked_in_a_day() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        assert_eq!(simulated(DAY, |_| false), 0);
        // Its twin is blocked for a little longer than the limit, once.
        let blocked = |now: Duration| (50_000.0..50_008.0).contains(&now.as_secs_f64());
        assert!(simulated(DAY, blocked) > 0);
    }
}
