//! Signal masks of the calling thread.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// The signals that the processor raises, or that report a fault of the calling thread.
const FAULTS: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// Blocks every signal for the calling thread and those it will start, but for `open` and faults.
pub(crate) fn block_all_but(open: impl IntoIterator<Item = i32>) {
    let mut blocked = full();
    for signal in FAULTS.into_iter().chain(open) {
        // SAFETY: the set was initialised by sigfillset; a signal number out of range is refused.
        unsafe { libc::sigdelset(&raw mut blocked, signal) };
    }
    // SAFETY: the set is initialised; the old mask is not asked for. It cannot fail with a valid
    // `how`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const blocked, null_mut()) };
}

/// Blocks one signal for the calling thread.
#[cfg(test)]
pub(crate) fn block(signal: i32) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used; the old mask is not asked for.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), null_mut());
    }
}

/// The set of all signals.
pub(crate) fn full() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set that it is given.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}
