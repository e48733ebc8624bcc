//! A handler for the report signal until gmr is installed: it notes the request, so that the signal
//! does not end the process between its start and `main`.
//!
//! It is set before `main`, and only where the signal has its default action: a handler of a
//! library, and a signal that the parent has had ignored, are left alone. When gmr is installed,
//! signal-hook's handler takes its place and calls it as the earlier one. From then on it does
//! nothing, and what it has noted is passed on.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

/// The signal whose handler was set; 0 if there is none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Whether gmr's action records the signals, and this handler no longer does.
static IS_HANDED_OVER: AtomicBool = AtomicBool::new(false);
/// How many signals have arrived, in the process with this id, and the sender of the last one: its
/// id plus one in the upper half and its user in the lower one; 0 if it is not known. The sum does
/// not overflow: ids have 22 bits. That of a process in another PID namespace is 0.
static COUNT: AtomicU32 = AtomicU32::new(0);
static PROCESS: AtomicU32 = AtomicU32::new(0);
static SENDER: AtomicU64 = AtomicU64::new(0);

/// Signals that arrived before gmr was installed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) count: u64,
    /// The process and the user that sent the last one, if they are known.
    pub(crate) sender: Option<(u32, u32)>,
}

/// Notes signals from now on, if the action of `signal` is the default one. False if the signal
/// cannot be handled.
///
/// It neither allocates nor starts anything, and does not change the signal mask. The first signal
/// counts.
pub(crate) fn arm(signal: i32) -> bool {
    match action(signal) {
        None => false,
        Some(libc::SIG_DFL) if SIGNAL.load(Ordering::Relaxed) == 0 => {
            SIGNAL.store(signal, Ordering::Relaxed);
            let is_set = set(signal, note as *const () as usize, libc::SA_SIGINFO | libc::SA_RESTART);
            if !is_set {
                SIGNAL.store(0, Ordering::Relaxed);
            }
            is_set
        }
        Some(_) => true,
    }
}

/// The handler. It copies and counts, and nothing else.
extern "C" fn note(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if IS_HANDED_OVER.load(Ordering::Acquire) {
        return;
    }
    // SAFETY: the kernel, or the handler that calls this one, passes a valid siginfo.
    let sender = super::sender(unsafe { &*info });
    SENDER.store(
        sender.map_or(0, |(pid, uid)| (u64::from(pid.wrapping_add(1)) << 32) | u64::from(uid)),
        Ordering::Relaxed,
    );
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    COUNT.fetch_add(1, Ordering::Release);
}

/// Whether this is the handler's address.
pub(crate) fn is_handler(handler: libc::sighandler_t) -> bool {
    handler == note as *const () as usize
}

/// Runs `register`, which has gmr's action called for `signal`, and returns what has arrived before.
///
/// The calling thread blocks the signal meanwhile, so that a signal is not noted both here and by
/// the action. If another thread takes one at that moment, it may count twice.
pub(crate) fn hand_over<T, E>(
    signal: i32,
    register: impl FnOnce() -> Result<T, E>,
) -> Result<(T, Option<Noted>), E> {
    if SIGNAL.load(Ordering::Relaxed) != signal {
        return register().map(|registered| (registered, None));
    }
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a local set, which sigemptyset initialises. The call writes the current mask to memory
    // valid for it, and cannot fail with this `how`.
    unsafe {
        let mut set = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
    }
    let registered = register();
    let noted = registered.is_ok().then(take).flatten();
    // SAFETY: the mask from before, which the first call has written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    registered.map(|registered| (registered, noted))
}

/// What has been noted. Nothing is from now on.
fn take() -> Option<Noted> {
    IS_HANDED_OVER.store(true, Ordering::Release);
    let count = COUNT.swap(0, Ordering::Acquire);
    // A forked child has a copy of what its parent has noted.
    if count == 0 || PROCESS.load(Ordering::Relaxed) != std::process::id() {
        return None;
    }
    let sender = SENDER.load(Ordering::Relaxed);
    // The halves of the number.
    #[allow(clippy::cast_possible_truncation)]
    let (pid, uid) = ((sender >> 32) as u32, sender as u32);
    Some(Noted { count: count.into(), sender: pid.checked_sub(1).map(|pid| (pid, uid)) })
}

/// Gives the signal its default action back, if this handler is still its action: gmr is installed
/// with another signal, or not at all. Returns how many signals it has noted, which get no report.
pub(crate) fn disarm() -> u64 {
    let signal = SIGNAL.load(Ordering::Relaxed);
    if signal == 0 || !action(signal).is_some_and(is_handler) {
        return 0;
    }
    set(signal, libc::SIG_DFL, 0);
    take().map_or(0, |noted| noted.count)
}

fn action(signal: i32) -> Option<libc::sighandler_t> {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, the call only writes the current one, to memory valid for it.
    if unsafe { libc::sigaction(signal, null(), current.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so the structure is filled in.
    Some(unsafe { current.assume_init() }.sa_sigaction)
}

fn set(signal: i32, handler: libc::sighandler_t, flags: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero is a valid action, with an empty mask. The handler is one of the constants,
    // or takes the three arguments that `SA_SIGINFO` gives it, and is async-signal-safe: it changes
    // atomics and makes one system call, which does not fail.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = handler;
        (*action.as_mut_ptr()).sa_flags = flags;
        libc::sigaction(signal, action.as_ptr(), null_mut()) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handler and its state exist once in a process, so one test does everything.
    #[test]
    #[cfg_attr(miri, ignore = "it handles a signal")]
    fn a_signal_is_noted_and_passed_on_once() {
        let signal = libc::SIGRTMIN() + 5;
        assert!(!arm(libc::SIGKILL) && !arm(0) && !arm(1000), "they cannot be handled");
        assert!(set(signal, libc::SIG_IGN, 0));
        assert!(arm(signal));
        assert_eq!(action(signal), Some(libc::SIG_IGN), "it is ignored on purpose");
        assert!(set(signal, libc::SIG_DFL, 0));
        assert!(arm(signal) && arm(libc::SIGUSR2));
        assert!(action(signal).is_some_and(is_handler));
        assert_ne!(action(libc::SIGUSR2), action(signal), "one signal");
        // SAFETY: it has a handler.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
        assert_eq!(hand_over(signal, || Err::<(), _>("refused")), Err("refused"));
        assert_eq!(hand_over(libc::SIGUSR2, || Ok::<_, ()>(7)), Ok((7, None)), "another signal");
        let (registered, noted) = hand_over(signal, || Ok::<_, ()>(7)).unwrap();
        let noted = noted.unwrap();
        assert_eq!((registered, noted.count), (7, 1));
        assert_eq!(noted.sender.map(|(pid, _)| pid), Some(std::process::id()));
        // SAFETY: it has a handler.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
        assert_eq!(hand_over(signal, || Ok::<_, ()>(7)), Ok((7, None)));
        assert_eq!((disarm(), action(signal)), (0, Some(libc::SIG_DFL)));
    }
}
