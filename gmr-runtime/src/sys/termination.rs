//! Notices that the process has received SIGTERM, without changing what SIGTERM does; in tests,
//! holds it back for a report.
//!
//! With the default action, SIGTERM ends the process at once, and a handler of gmr's would prevent
//! that. So there is none: an action is added to signal-hook's handler, once the program or its
//! runtime has that one set. signal-hook keeps a handler forever, so this changes nothing. A
//! handler of any other kind is left alone.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::{disposition, report_signal};

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

/// Whether this process holds SIGTERM back. Changed under the lock of its caller.
static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Has SIGTERM noted from now on and not end the process, if its action is the default one.
pub(crate) fn hold_back() {
    if disposition::handler(libc::SIGTERM) != Some(libc::SIG_DFL) {
        return;
    }
    // SAFETY: the handler takes the signal's number, and is async-signal-safe: it changes atomics
    // and reads a clock. `#[gmr::test]` is part of the executable.
    let is_set = unsafe { disposition::set(libc::SIGTERM, address(), libc::SA_RESTART | libc::SA_ONSTACK) };
    IS_HELD.store(is_set, Ordering::Relaxed);
}

/// Whether SIGTERM has arrived and was held back.
pub(crate) fn is_held_back() -> bool {
    IS_HELD.load(Ordering::Relaxed)
        && RECEIVED.load(Ordering::Acquire) != 0
        && PROCESS.load(Ordering::Relaxed) == std::process::id()
}

/// Gives SIGTERM its default action again. If it was held back, it ends the process now.
pub(crate) fn let_through() {
    if !IS_HELD.swap(false, Ordering::Relaxed) || disposition::handler(libc::SIGTERM) != Some(address()) {
        return;
    }
    // SAFETY: it is the default action.
    unsafe { disposition::set(libc::SIGTERM, libc::SIG_DFL, 0) };
    if RECEIVED.load(Ordering::Acquire) != 0 && PROCESS.load(Ordering::Relaxed) == std::process::id() {
        // SAFETY: it sends a signal, and touches no memory.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        // A thread with the signal open takes it soon.
    }
}

fn address() -> libc::sighandler_t {
    note as *const () as usize
}

extern "C" fn note(_: libc::c_int) {
    begins();
}
