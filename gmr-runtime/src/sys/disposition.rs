//! What the process does with a signal: reads and sets it. Which handler there should be is decided
//! elsewhere.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// The signal's action. It takes no lock and allocates nothing.
///
/// # Errors
/// There is no such signal, or the C library keeps it for itself.
pub(crate) fn current(signal: i32) -> io::Result<libc::sigaction> {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with a null new action, sigaction only writes the current one, to memory valid for
    // it.
    if unsafe { libc::sigaction(signal, null(), current.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the structure is filled in.
    Ok(unsafe { current.assume_init() })
}

/// The signal's handler, `SIG_DFL` or `SIG_IGN`. `None` if it cannot be read.
pub(crate) fn handler(signal: i32) -> Option<libc::sighandler_t> {
    current(signal).ok().map(|action| action.sa_sigaction)
}

/// Sets the signal's handler, with an empty mask. False if it cannot be set.
///
/// # Safety
/// The handler is `SIG_DFL`, `SIG_IGN`, or a function that lives as long as the process, takes the
/// arguments that these flags give it, and is async-signal-safe.
pub(crate) unsafe fn set(signal: i32, handler: libc::sighandler_t, flags: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero is a valid action. The caller answers for the handler.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = handler;
        (*action.as_mut_ptr()).sa_flags = flags;
        libc::sigaction(signal, action.as_ptr(), null_mut()) == 0
    }
}
