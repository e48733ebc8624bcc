//! What is known of one task. Its own polls write it, a report reads it; neither waits for the other.

use std::panic::Location;
use std::sync::{Arc, PoisonError, TryLockError};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use super::branch::Branches;
use super::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use super::sync::{Mutex, MutexGuard, yield_now};

/// One task.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) spawned: SystemTime,
    /// The thread that is inside its poll; 0 if none is.
    polled_by: AtomicU32,
    /// When that began, or when the last poll ended, in coarse milliseconds.
    since: AtomicU64,
    polls: AtomicU64,
    /// The last trace that was taken, or is being taken, of it.
    traced: AtomicU64,
    /// When it was woken for a trace that it has not answered; 0 if it was not.
    woken: AtomicU64,
    ended: AtomicBool,
    slow: Mutex<Slow>,
}

/// What is rarely touched.
#[derive(Debug, Default)]
struct Slow {
    waker: Option<Waker>,
    labels: Vec<(&'static str, String)>,
    branches: Option<(u64, Branches)>,
}

/// What a task is doing.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// A thread is inside its poll.
    Polling { tid: u32, since: Duration },
    /// It was woken for this report and nobody has polled it yet.
    Woken { since: Duration, waiting: Duration },
    /// It waits; where, if the trace has found out.
    Waiting { since: Duration, branches: Option<Branches> },
    /// It was never polled.
    New,
}

impl Condition {
    /// Where it waits, if that was found out.
    pub(crate) fn branches(&self) -> Option<&Branches> {
        match self {
            Condition::Waiting { branches, .. } => branches.as_ref(),
            _ => None,
        }
    }
}

impl Entry {
    pub(super) fn new(id: u64, name: &'static str, spawned_at: &'static Location<'static>) -> Self {
        Self {
            id,
            name,
            spawned_at,
            spawned: SystemTime::now(),
            polled_by: AtomicU32::new(0),
            since: AtomicU64::new(clock()),
            polls: AtomicU64::new(0),
            traced: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            slow: Mutex::default(),
        }
    }

    /// A poll begins on this thread. If a report has asked for it: since when the task had waited.
    pub(super) fn begin(&self, tid: u32) -> Option<u64> {
        let asked = self.woken.load(Ordering::Relaxed) != 0;
        if asked {
            self.woken.store(0, Ordering::Relaxed);
        }
        let waiting_since = self.since.load(Ordering::Relaxed);
        self.since.store(clock(), Ordering::Relaxed);
        self.polled_by.store(tid, Ordering::Release);
        asked.then_some(waiting_since)
    }

    /// The poll has ended. After one that a report has asked for, in time for it or not, nothing is different from before. One thread polls a task at a time, so that nobody else counts.
    pub(super) fn end(&self, asked: Option<u64>) {
        if asked.is_none() {
            self.polls.store(self.polls.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
        self.since.store(asked.unwrap_or_else(clock), Ordering::Relaxed);
        self.polled_by.store(0, Ordering::Release);
    }

    /// Keeps the waker by which the task can be woken for a report.
    pub(super) fn keep(&self, waker: Waker) {
        let before = self.slow().waker.replace(waker);
        // Outside of the lock: what a runtime does when a waker goes is its own business.
        drop(before);
    }

    /// Claims the trace for the poll that is about to run. False if it has been taken already.
    pub(super) fn claim(&self, trace: u64) -> bool {
        self.traced.load(Ordering::Relaxed) != trace && {
            // After the poll has begun: who sees the claim sees that poll, or its end.
            self.traced.store(trace, Ordering::Release);
            true
        }
    }

    /// Where it was found to wait.
    pub(super) fn found(&self, trace: u64, branches: Branches) {
        self.slow().branches = Some((trace, branches));
    }

    /// Wakes it for a trace, unless a poll takes part in that already, it was never polled, or is gone. One that is being polled is woken as well: that poll may not have seen that a trace is wanted, the next will. What runs here is the runtime's.
    pub(super) fn wake(&self, trace: u64) {
        if self.traced.load(Ordering::Acquire) == trace {
            return;
        }
        let Some(waker) = self.slow().waker.clone() else { return };
        self.woken.store(clock().max(1), Ordering::Relaxed);
        waker.wake();
    }

    /// Whether it waits, so that a trace has to wake it.
    pub(super) fn is_waiting(&self) -> bool {
        self.polls() > 0 && self.polled_by.load(Ordering::Acquire) == 0
    }

    /// Whether a trace has nothing more to learn of it.
    pub(super) fn is_settled(&self, trace: u64) -> bool {
        let done =
            self.traced.load(Ordering::Acquire) == trace && self.polled_by.load(Ordering::Acquire) == 0;
        done || self.ended.load(Ordering::Relaxed)
    }

    /// It is complete, or was dropped.
    pub(super) fn finish(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether it is complete, or was dropped.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Adds a label, or replaces the one of that key.
    pub(super) fn label(&self, key: &'static str, value: String) {
        let mut slow = self.slow();
        match slow.labels.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = value,
            None => slow.labels.push((key, value)),
        }
    }

    /// How often it was polled. Who sees a poll counted sees after it that it was begun, so that one which is just ending is not taken for one that is over.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Acquire)
    }

    /// What it is doing, and its labels. None if it is being changed at this very moment and for longer than that takes.
    pub(crate) fn look(&self, trace: u64) -> Option<(Condition, Vec<(&'static str, String)>)> {
        let (branches, labels) = {
            let slow = self.try_slow()?;
            let branches = slow.branches.as_ref().filter(|(of, _)| *of == trace);
            (branches.map(|(_, branches)| branches.clone()), slow.labels.clone())
        };
        let now = clock();
        let ago = |then: u64| Duration::from_millis(now.saturating_sub(then));
        let since = ago(self.since.load(Ordering::Relaxed));
        let polls = self.polls();
        let condition = match (self.polled_by.load(Ordering::Acquire), self.woken.load(Ordering::Relaxed)) {
            (0, _) if polls == 0 => Condition::New,
            (0, woken) if woken != 0 && branches.is_none() => {
                Condition::Woken { since: ago(woken), waiting: since }
            }
            (0, _) => Condition::Waiting { since, branches },
            (tid, _) => Condition::Polling { tid, since },
        };
        Some((condition, labels))
    }

    fn slow(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, for a reporter: held for moments at a time by threads of the program, of which one may be stopped in such a moment.
    fn try_slow(&self) -> Option<MutexGuard<'_, Slow>> {
        for _ in 0..100 {
            match self.slow.try_lock() {
                Ok(slow) => return Some(slow),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => yield_now(),
            }
        }
        None
    }
}

/// Milliseconds of a clock that costs a few nanoseconds to read and is exact to some four milliseconds: a person reads them.
#[cfg(target_os = "linux")]
pub(super) fn clock() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Milliseconds of a monotonic clock.
#[cfg(not(target_os = "linux"))]
pub(super) fn clock() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX) + 1
}

/// A shared entry.
pub(super) type Shared = Arc<Entry>;
