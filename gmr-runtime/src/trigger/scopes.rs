//! What a program says about its own progress: scopes with a deadline, heartbeats, and that it is
//! ready. What does not come in time makes a report.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::timers::{Last, Matter};
use super::watch::{self, Watched};
use crate::sys;

/// Makes a report if the scope is not left in time. See [`deadline`].
#[must_use = "a deadline ends when it is dropped; bind it to a variable"]
#[derive(Debug)]
pub struct Deadline {
    _watched: Option<Watched>,
}

/// Makes a report if the returned value lives longer than `limit`: what it stands for hangs, or
/// takes too long.
///
/// The heading says which deadline it is, and the threads begin with the one that called this
/// function. As long as the value lives, there are more reports, one, two, four minutes later and
/// so on. An hour has at most six for all deadlines. Without gmr [installed](crate::Builder),
/// nothing is watched.
///
/// If the process was stopped or got no processor, the limit is extended by as much.
///
/// ```
/// use std::time::Duration;
///
/// fn checkout() {
///     let _slow = gmr_runtime::deadline("checkout", Duration::from_secs(5));
///     // takes milliseconds, usually
/// }
/// # checkout();
/// ```
pub fn deadline(name: impl Into<Cow<'static, str>>, limit: Duration) -> Deadline {
    let (tid, thread) = (sys::current_tid(), thread::current());
    let matter = Matter::Scope { name: name.into(), limit, tid, thread };
    Deadline { _watched: watch::add(matter, limit) }
}

/// A loop that is expected to make progress. See [`heartbeat`].
#[must_use = "a heartbeat is watched until it is dropped; bind it to a variable"]
#[derive(Debug)]
pub struct Heartbeat {
    name: Cow<'static, str>,
    started: Instant,
    last: Arc<Last>,
    _watched: Option<Watched>,
}

/// Makes a report if a loop stops: it has to call [`beat`](Heartbeat::beat) in
/// [every](Heartbeat::every) so much time.
///
/// ```no_run
/// use std::time::Duration;
///
/// # fn next_order() {}
/// let heart = gmr_runtime::heartbeat("orders").every(Duration::from_secs(5));
/// loop {
///     heart.beat();
///     next_order();
/// }
/// ```
pub fn heartbeat(name: impl Into<Cow<'static, str>>) -> Heartbeat {
    Heartbeat { name: name.into(), started: Instant::now(), last: Arc::default(), _watched: None }
}

impl Heartbeat {
    /// Watches it from now on. A report is made when there has been no beat for twice this time: a
    /// beat may be late where the machine is busy.
    ///
    /// The heading says which one it is and for how long it has not beaten, and the threads begin
    /// with the one that beat last. Until it beats again, there are more reports, one, two, four
    /// minutes later and so on. An hour has at most six for all heartbeats. Without gmr
    /// [installed](crate::Builder), nothing is watched.
    pub fn every(self, time: Duration) -> Self {
        let (started, last) = (Instant::now(), Arc::new(Last::default()));
        last.thread.store(sys::current_tid(), Ordering::Relaxed);
        let matter = Matter::Beats { name: self.name.to_string(), every: time, last: Arc::clone(&last) };
        let watched = watch::add(matter, time.saturating_mul(2));
        Self { name: self.name, started, last, _watched: watched }
    }

    /// Says that the loop makes progress. It takes no lock.
    pub fn beat(&self) {
        let at = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.thread.store(sys::current_tid(), Ordering::Relaxed);
        self.last.at.store(at, Ordering::Relaxed);
    }
}

static IS_READY: AtomicBool = AtomicBool::new(false);
static START: Mutex<Option<Watched>> = Mutex::new(None);

/// Says that the program has started, for the option `slow_start`
/// ([`Builder::slow_start`](crate::Builder::slow_start)): there is no report about a slow start.
///
/// ```
/// gmr_runtime::ready();
/// ```
pub fn ready() {
    IS_READY.store(true, Ordering::Release);
    drop(START.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Makes a report if the program does not say that it is [`ready`] within `limit` from now on.
pub(crate) fn expect_ready(limit: Duration) {
    let watched = watch::add(Matter::Start { limit }, limit);
    let mut start = START.lock().unwrap_or_else(PoisonError::into_inner);
    if !IS_READY.load(Ordering::Acquire) {
        *start = watched;
    }
}

/// Says that the program shuts down, for the option `slow_shutdown`
/// ([`Builder::slow_shutdown`](crate::Builder::slow_shutdown)). The first call counts. It may be
/// called in a signal handler.
///
/// Where signal-hook or tokio handles SIGTERM, gmr notices that by itself.
///
/// ```
/// gmr_runtime::shutting_down();
/// ```
pub fn shutting_down() {
    #[cfg(target_os = "linux")]
    sys::termination::begins();
}

/// Makes a report if the process does not end within `limit` after it has begun to shut down.
pub(crate) fn expect_end(limit: Duration) {
    #[cfg(target_os = "linux")]
    if let Some(watched) =
        watch::add(Matter::End { limit, since: sys::termination::terminating_for }, Duration::ZERO)
    {
        // As long as the process lives.
        std::mem::forget(watched);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = limit;
}
