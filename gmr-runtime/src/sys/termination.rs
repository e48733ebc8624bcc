//! Notices that the process has received SIGTERM, without changing what SIGTERM does.
//!
//! With the default action, SIGTERM ends the process at once, and a handler of gmr's would prevent
//! that. So there is none: an action is added to signal-hook's handler, once the program or its
//! runtime has that one set. signal-hook keeps a handler forever, so this changes nothing. A handler
//! of any other kind is left alone.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::report_signal;

/// When the first one has arrived: milliseconds of the monotonic clock; 0 if none has.
static RECEIVED: AtomicU64 = AtomicU64::new(0);
/// The process that has received it: a forked child has a copy of this memory.
static PROCESS: AtomicU32 = AtomicU32::new(0);
static IS_REGISTERED: AtomicBool = AtomicBool::new(false);

/// For how long the process has been terminating, as far as is known.
pub(crate) fn terminating_for() -> Option<Duration> {
    register();
    let since = Some(RECEIVED.load(Ordering::Acquire)).filter(|since| *since != 0)?;
    let is_ours = PROCESS.load(Ordering::Relaxed) == std::process::id();
    is_ours.then(|| Duration::from_millis(now().saturating_sub(since)))
}

/// Notes that the process terminates. It may be called in a signal handler.
pub(crate) fn begins() {
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    let _ = RECEIVED.compare_exchange(0, now(), Ordering::Release, Ordering::Relaxed);
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
        .as_millis()
        .try_into()
        .unwrap_or(u64::MAX)
}

/// Adds the action, if signal-hook handles the signal.
fn register() {
    if IS_REGISTERED.load(Ordering::Relaxed) || !report_signal::is_signal_hooks(libc::SIGTERM) {
        return;
    }
    IS_REGISTERED.store(true, Ordering::Relaxed);
    // SAFETY: the action is async-signal-safe: it changes atomics and reads a clock.
    let _ = unsafe { signal_hook_registry::register(libc::SIGTERM, begins) };
}
