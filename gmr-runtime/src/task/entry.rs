//! What gmr knows about one task. The task's own polls write it and a report reads it; neither
//! waits for the other. Nothing here polls a task or takes a stack.

use std::panic::Location;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Duration, SystemTime};

use super::branch::Branches;
use super::place::Place;
use super::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use super::sync::{Mutex, MutexGuard, yield_now};
use super::waker::{Kept, Kind, Lent};
use super::waking::Waking;

/// How often a report tries to lock an entry before it leaves the task out.
const ATTEMPTS: usize = 100;

/// In [`Entry::traced`]: the poll could not take all stacks. There are no 2⁶² traces.
const AGAIN: u64 = 1 << 63;

/// In [`Entry::traced`]: the trace does not poll the task.
const LEFT_OUT: u64 = 1 << 62;

/// In [`Entry::woken`].
const INSIDE: u64 = 1;

/// Why a trace does not poll a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LeftOut {
    /// No future has kept a waker in the last poll.
    NoWaker,
    /// Its runtime accepts no wakers but its own.
    ForeignWaker,
    /// Waking it does nothing, and it was not polled in time.
    IgnoresWakes,
    /// Waking a task of its runtime has not returned since an earlier trace.
    WakerBlocks,
    /// Waking it panicked.
    WakerPanicked,
    /// There was no thread to wake it from.
    NoThread,
    /// The program has switched it off for this task.
    TaskOptedOut,
    /// It is switched off for all tasks.
    AllOptedOut,
    /// A thread of the program may not be allowed the system calls of such a poll.
    Filtered,
}

impl LeftOut {
    const ALL: [Self; 9] = [
        Self::NoWaker,
        Self::ForeignWaker,
        Self::IgnoresWakes,
        Self::WakerBlocks,
        Self::WakerPanicked,
        Self::NoThread,
        Self::TaskOptedOut,
        Self::AllOptedOut,
        Self::Filtered,
    ];
}

/// One task. Only one thread polls a task at a time, so that its polls write without
/// read-modify-write operations.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) spawned: SystemTime,
    /// The thread that is inside the task's poll; 0 between polls.
    polled_by: AtomicU32,
    /// When that poll began or, between polls, when the last one ended, in milliseconds of
    /// [`clock`].
    since: AtomicU64,
    polls: AtomicU64,
    /// The polls that traces caused, which are not counted as the task's.
    for_traces: AtomicU64,
    /// The last trace in which a poll of this task took part; with [`AGAIN`], if it has to take
    /// part once more.
    traced: AtomicU64,
    /// When a trace woke the task, until its next poll begins; 0 otherwise. [`INSIDE`] if it woke
    /// only one that is polled inside this one.
    woken: AtomicU64,
    /// The [`LeftOut`] of the last trace that did not poll the task.
    left_out: AtomicU8,
    /// Whether the program has switched polls for traces off.
    opted_out: AtomicBool,
    /// Whether the waker of its last poll must not be replaced.
    lent: AtomicBool,
    ended: AtomicBool,
    /// The number of the tokio runtime that the task is on, possibly uncounted; 0 if none is known.
    #[cfg(feature = "tokio")]
    runtime: AtomicU8,
    /// Whether it is a closure on a blocking thread.
    #[cfg(feature = "tokio")]
    blocks: AtomicBool,
    locked: Mutex<Locked>,
}

/// What changes rarely.
#[derive(Debug, Default)]
struct Locked {
    waker: Option<Kept>,
    /// The task inside whose polls this one was first polled.
    outer: Option<Place>,
    labels: Vec<(&'static str, String)>,
    branches: Option<(u64, Branches)>,
    /// Whether the poll that has found them has woken the task, so that it does not wait.
    has_woken_itself: bool,
}

/// One poll of a task that had not ended at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Poll {
    /// The thread that is inside it.
    pub(crate) tid: u32,
    /// How many polls have ended before it.
    number: u64,
}

/// What a task is doing.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// A thread is inside its poll.
    Polling { poll: Poll, since: Duration },
    /// It was woken for this report and has not been polled since.
    Woken { since: Duration, waiting: Duration },
    /// It waits. Where, if the trace shows it.
    Waiting { since: Duration, branches: Option<Branches> },
    /// It was never polled.
    New,
}

impl Condition {
    /// Where it waits, if the trace shows it.
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
            for_traces: AtomicU64::new(0),
            traced: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            left_out: AtomicU8::new(0),
            opted_out: AtomicBool::new(false),
            lent: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            #[cfg(feature = "tokio")]
            runtime: AtomicU8::new(0),
            #[cfg(feature = "tokio")]
            blocks: AtomicBool::new(false),
            locked: Mutex::default(),
        }
    }

    /// Begins a poll on this thread, which a trace may have caused that has woken the task around
    /// this one. If a trace caused the poll, returns since when the task was waiting, for
    /// [`end`](Self::end).
    pub(super) fn begin(&self, tid: u32, for_trace: bool) -> Option<u64> {
        let woken = self.woken.load(Ordering::Relaxed) != 0;
        if woken {
            self.woken.store(0, Ordering::Relaxed);
        }
        let for_trace = for_trace || woken;
        let waiting_since = self.since.load(Ordering::Relaxed);
        self.since.store(clock(), Ordering::Relaxed);
        self.polled_by.store(tid, Ordering::Release);
        for_trace.then_some(waiting_since)
    }

    /// Ends the poll. After one that a trace caused, whether or not it was in time for the report,
    /// the task has been polled as often and waits since the same moment as before.
    pub(super) fn end(&self, waiting_since: Option<u64>) {
        let counter = if waiting_since.is_none() { &self.polls } else { &self.for_traces };
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
        self.since.store(waiting_since.unwrap_or_else(clock), Ordering::Relaxed);
        self.polled_by.store(0, Ordering::Release);
    }

    /// Keeps the waker by which a trace can wake the task.
    pub(super) fn keep_waker(&self, waker: Kept) {
        let before = self.locked().waker.replace(waker);
        // Outside of the lock: dropping a waker runs code of the runtime's.
        drop(before);
    }

    /// Claims the trace for the poll that is about to run. False if an earlier poll claimed it.
    pub(super) fn claim(&self, trace: u64) -> bool {
        self.traced.load(Ordering::Relaxed) != trace && {
            // After `begin`: a thread that sees the claim sees that poll running, or its end.
            self.traced.store(trace, Ordering::Release);
            true
        }
    }

    /// Records where the trace found the task waiting, and whether that poll has woken it.
    pub(super) fn record(&self, trace: u64, branches: Branches, has_woken_itself: bool) {
        let mut locked = self.locked();
        locked.branches = Some((trace, branches));
        locked.has_woken_itself = has_woken_itself;
    }

    /// How many branches the trace has found, for a task that has been waiting for this long some
    /// time ago. `None` if the trace has not polled it, or if the task was woken in that poll.
    pub(crate) fn wakers(&self, trace: u64, waiting: Duration) -> Option<usize> {
        let waits = u128::from(clock().saturating_sub(self.since.load(Ordering::Relaxed)));
        if self.polled_by.load(Ordering::Acquire) != 0 || waits < waiting.as_millis() {
            return None;
        }
        if self.left_out(trace) == Some(LeftOut::NoWaker) {
            // Not the waker of an executor that the task has met since.
            return self.try_locked()?.waker.as_ref().and_then(Kept::kind).is_none().then_some(0);
        }
        let locked = self.try_locked()?;
        let (_, branches) = locked.branches.as_ref().filter(|(of, _)| *of == trace)?;
        (!locked.has_woken_itself).then_some(branches.len())
    }

    /// Gives up the claim: the poll could not take all stacks.
    pub(super) fn miss(&self, trace: u64) {
        self.traced.store(trace | AGAIN, Ordering::Release);
    }

    /// Whether a poll took part in the trace and could not take all stacks.
    pub(crate) fn missed(&self, trace: u64) -> bool {
        self.traced.load(Ordering::Acquire) == trace | AGAIN
    }

    /// Wakes a task again that has missed the trace. False if it is still being polled.
    ///
    /// # Errors
    /// As for [`wake`](Self::wake).
    pub(super) fn wake_again(&self, trace: u64, waking: &Waking) -> Result<bool, String> {
        let waits = self.polled_by.load(Ordering::Acquire) == 0;
        // It may have been woken already, by the program or by a trace.
        if waits && self.missed(trace) && self.woken.load(Ordering::Relaxed) <= INSIDE {
            self.wake(trace, waking)?;
        }
        Ok(waits)
    }

    /// Wakes the task for a trace, unless one of its polls has claimed that trace, or there is no
    /// waker. A task that is being polled is woken as well: that poll may have begun before the
    /// trace; the next one takes part. Waking runs code of the runtime's.
    ///
    /// # Errors
    /// The message, if that code panics.
    pub(super) fn wake(&self, trace: u64, waking: &Waking) -> Result<(), String> {
        if self.has_claimed(trace) {
            return Ok(());
        }
        let Some(waker) = self.lend_waker() else {
            // Since it was looked at, it was polled, or what kept the waker was dropped.
            if self.polled_by.load(Ordering::Acquire) == 0 {
                self.leave_out(trace, LeftOut::NoWaker);
            }
            return Ok(());
        };
        self.woken.store(clock().max(INSIDE + 1), Ordering::Relaxed);
        let woken = waking.wake(waker);
        if woken.is_err() && !self.has_claimed(trace) {
            self.woken.store(0, Ordering::Relaxed);
            self.leave_out(trace, LeftOut::WakerPanicked);
        }
        woken
    }

    fn lend_waker(&self) -> Option<Lent> {
        self.locked().waker.as_ref().and_then(Kept::lend)
    }

    /// Notes that a trace is about to wake a task that is polled inside this one, which causes a
    /// poll of this one.
    pub(super) fn expect_poll(&self) {
        let _ = self.woken.compare_exchange(0, INSIDE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether a poll has claimed the trace.
    pub(super) fn has_claimed(&self, trace: u64) -> bool {
        self.traced.load(Ordering::Acquire) == trace
    }

    /// The kind of the runtime's waker, by which a trace can wake the task. `None` if there is
    /// none.
    pub(super) fn kind_of_waker(&self) -> Option<Kind> {
        self.try_locked()?.waker.as_ref().and_then(Kept::kind)
    }

    /// Whether waking the task does nothing.
    pub(super) fn ignores_wakes(&self) -> bool {
        self.kind_of_waker().is_some_and(|kind| kind.ignores_wakes)
    }

    /// Leaves the task out of a trace.
    pub(super) fn leave_out(&self, trace: u64, why: LeftOut) {
        self.left_out.store(why as u8, Ordering::Relaxed);
        self.traced.store(trace | LEFT_OUT, Ordering::Release);
    }

    /// Why the task was left out of the trace, if it was.
    pub(crate) fn left_out(&self, trace: u64) -> Option<LeftOut> {
        let is_out = self.traced.load(Ordering::Acquire) == trace | LEFT_OUT;
        let why = self.left_out.load(Ordering::Relaxed);
        LeftOut::ALL.into_iter().find(|reason| is_out && *reason as u8 == why)
    }

    /// From now on, no trace polls the task.
    pub(super) fn opt_out(&self) {
        self.opted_out.store(true, Ordering::Relaxed);
    }

    /// Whether no trace may poll the task.
    pub(super) fn has_opted_out(&self) -> bool {
        self.opted_out.load(Ordering::Relaxed)
    }

    /// Sets whether the waker of the task's polls is one that must not be replaced. gmr keeps none
    /// then.
    pub(super) fn set_lent(&self, lent: bool) {
        self.lent.store(lent, Ordering::Relaxed);
        let before = if lent { self.locked().waker.take() } else { None };
        drop(before);
    }

    /// Whether the waker of the task's polls must not be replaced.
    pub(super) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Relaxed)
    }

    /// Sets the number of the runtime that the task is on.
    #[cfg(feature = "tokio")]
    pub(super) fn set_runtime(&self, number: u8) {
        self.runtime.store(number, Ordering::Relaxed);
    }

    /// The number of the runtime that the task is on.
    #[cfg(feature = "tokio")]
    pub(super) fn runtime(&self) -> u8 {
        self.runtime.load(Ordering::Relaxed)
    }

    /// Notes that the task is a closure on a blocking thread.
    #[cfg(feature = "tokio")]
    pub(super) fn set_blocking(&self) {
        self.blocks.store(true, Ordering::Relaxed);
    }

    /// Whether the task is a closure on a blocking thread.
    pub(crate) fn is_blocking(&self) -> bool {
        #[cfg(feature = "tokio")]
        let is_blocking = self.blocks.load(Ordering::Relaxed);
        #[cfg(not(feature = "tokio"))]
        let is_blocking = false;
        is_blocking
    }

    /// Sets the task inside whose polls this one is polled.
    pub(super) fn set_outer(&self, outer: Option<Place>) {
        self.locked().outer = outer;
    }

    /// The task inside whose polls this one was first polled, if any.
    pub(super) fn outer(&self) -> Option<Place> {
        self.locked().outer
    }

    /// Whether the task waits, so that a trace has to wake it.
    pub(super) fn is_waiting(&self) -> bool {
        self.polls() > 0 && self.polled_by.load(Ordering::Acquire) == 0
    }

    /// The thread that is inside the task's poll, if one is.
    pub(super) fn polled_on(&self) -> Option<u32> {
        Some(self.polled_by.load(Ordering::Relaxed)).filter(|tid| *tid != 0)
    }

    /// Whether a thread has been inside the same poll of the task for this long.
    pub(crate) fn is_inside_for(&self, time: Duration) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        self.poll().tid != 0 && u128::from(clock().saturating_sub(since)) >= time.as_millis()
    }

    /// Whether the trace has nothing more to learn about the task.
    pub(super) fn is_settled(&self, trace: u64) -> bool {
        let done =
            self.traced.load(Ordering::Acquire) == trace && self.polled_by.load(Ordering::Acquire) == 0;
        done || self.left_out(trace).is_some() || self.ended.load(Ordering::Relaxed)
    }

    /// Marks the task as completed or dropped.
    pub(super) fn finish(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether the task has completed or was dropped.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Adds a label, or replaces the one with the same key.
    pub(super) fn label(&self, key: &'static str, value: String) {
        let mut locked = self.locked();
        match locked.labels.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = value,
            None => locked.labels.push((key, value)),
        }
    }

    /// How often the task was polled, apart from polls that a trace caused. A thread that sees a
    /// poll counted also sees that it began: a poll that is about to end is not mistaken for one
    /// that is over.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Acquire)
    }

    /// What the task is doing, and its labels. `None` if a thread holds the entry's lock for longer
    /// than any change takes: it was stopped in the middle of one.
    pub(crate) fn snapshot(&self, trace: u64) -> Option<(Condition, Vec<(&'static str, String)>)> {
        let (branches, labels) = {
            let locked = self.try_locked()?;
            let branches = locked.branches.as_ref().filter(|(of, _)| *of == trace);
            (branches.map(|(_, branches)| branches.clone()), locked.labels.clone())
        };
        let now = clock();
        let ago = |then: u64| Duration::from_millis(now.saturating_sub(then));
        let since = ago(self.since.load(Ordering::Relaxed));
        let polls = self.polls();
        let poll = self.poll();
        let condition = match (poll.tid, self.woken.load(Ordering::Relaxed)) {
            (0, _) if polls == 0 => Condition::New,
            (0, woken) if woken > INSIDE && branches.is_none() => {
                Condition::Woken { since: ago(woken), waiting: since }
            }
            (0, _) => Condition::Waiting { since, branches },
            _ => Condition::Polling { poll, since },
        };
        Some((condition, labels))
    }

    /// The poll that is running; its thread is 0 if none is.
    fn poll(&self) -> Poll {
        let ended = || self.polls().wrapping_add(self.for_traces.load(Ordering::Acquire));
        let number = ended();
        Poll { tid: self.polled_by.load(Ordering::Acquire), number }
    }

    /// Whether this poll is still running: if its thread was looked at since the poll was found, it
    /// was inside it then. (Unless the poll was about to end when it was found, and has been
    /// followed by one on the same thread: then the thread's stack can be of neither.)
    pub(crate) fn is_in(&self, poll: Poll) -> bool {
        self.poll() == poll
    }

    fn locked(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, for the reporter, which may not wait for it: threads of the program hold it only
    /// briefly, but one of them may be stopped while it does.
    fn try_locked(&self) -> Option<MutexGuard<'_, Locked>> {
        for _ in 0..ATTEMPTS {
            match self.locked.try_lock() {
                Ok(locked) => return Some(locked),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => yield_now(),
            }
        }
        None
    }
}

/// Milliseconds of the coarse monotonic clock, which costs a few nanoseconds to read and is exact
/// to about four milliseconds. That is enough for a person.
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
