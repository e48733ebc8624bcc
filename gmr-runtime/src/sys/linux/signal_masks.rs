//! Signal masks of the calling thread. Sets begin as zeros: musl's functions fill in only the part
//! that the kernel has signals for.

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

/// The first real-time signal, as the kernel counts. The C library keeps some for itself, so its
/// own first one is higher.
pub(crate) const FIRST_REAL_TIME: u32 = 32;

/// The mask of the calling thread: bit `signal - 1` is set for each blocked signal.
pub(crate) fn current() -> Option<u64> {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: without a new mask, the call only writes the old one, to memory that is valid for it.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), set.as_mut_ptr()) };
    // SAFETY: the call succeeded, so the set is initialised.
    (result == 0).then(|| bits(&unsafe { set.assume_init() }))
}

/// Sets the mask of the calling thread. The C library leaves out the signals that it uses itself.
pub(crate) fn set(blocked: u64) {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: the set is initialised by sigemptyset before it is changed and read. A signal number
    // out of range is refused. A null pointer says that the old mask is not wanted.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in (1..=64).filter(|signal| blocked >> (signal - 1) & 1 == 1) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), null_mut());
    }
}

fn bits(set: &libc::sigset_t) -> u64 {
    // SAFETY: the set is initialised. A signal number out of range is an error, which is not 1.
    let is_in = |signal: i32| unsafe { libc::sigismember(&raw const *set, signal) } == 1;
    (1..=64).filter(|&signal| is_in(signal)).fold(0, |bits, signal| bits | 1 << (signal - 1))
}

/// Every signal that a program can block.
#[cfg(test)]
pub(crate) fn full_bits() -> u64 {
    bits(&full())
}

/// Blocks one signal for the calling thread.
#[cfg(test)]
pub(crate) fn block(signal: i32) {
    let mut set = MaybeUninit::zeroed();
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
    let mut set = MaybeUninit::zeroed();
    // SAFETY: the pointer is valid for writes, and sigfillset initialises the whole set.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}
