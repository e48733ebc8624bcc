//! Signal masks of the calling thread.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// The signals that report a fault of the thread that receives them.
const FAULTS: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// Blocks every signal but `open` and faults, for the calling thread and the threads it will start.
pub(crate) fn block_all_but(open: impl IntoIterator<Item = i32>) {
    let mut blocked = full();
    for signal in FAULTS.into_iter().chain(open) {
        // SAFETY: the set was initialised by sigfillset. A signal number out of range is refused.
        unsafe { libc::sigdelset(&raw mut blocked, signal) };
    }
    // SAFETY: the set is initialised, and a null pointer says that the old mask is not wanted. With
    // a valid `how`, the call cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const blocked, null_mut()) };
}

/// Blocks one signal for the calling thread.
#[cfg(test)]
pub(crate) fn block(signal: i32) {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used, and a null pointer says that the old mask
    // is not wanted.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), null_mut());
    }
}

/// The set of all signals.
pub(crate) fn full() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the pointer is valid for writes, and sigfillset initialises the whole set.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}
