//! Notices a report signal that no thread takes.
//!
//! Linux gives a signal for the whole process to the main thread, unless that blocks it. It does so
//! even while the main thread is in uninterruptible sleep: it waits for the child of a `vfork`, or
//! for a disk that does not respond. The signal then stays pending, and no other thread is woken,
//! although any of them could take it. The kernel drops later ones, because one is pending.
//!
//! A signalfd is readable while a signal is pending, and the kernel looks at it when one is sent.
//! So a thread that polls one sleeps while no signal is sent, and finds those that stay pending.
//! Then the reporter takes the signal. What else could be done does more harm:
//!
//! - If the main thread blocked the signal, the kernel would choose another one. But each thread
//!   and each program that the main thread starts would block it as well, and could not be asked.
//! - To look from time to time whether one is pending, an idle process would have to be woken.
//!
//! The descriptor is in a table of the thread's own ([`try_separate_files`]). Where there is none
//! (before Linux 5.9), nothing is noticed.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::try_separate_files;

/// How long a thread may take to run the handler. One that runs or sleeps takes microseconds.
const TAKEN_WITHIN: Duration = Duration::from_millis(200);

/// Calls `not_taken` each time that this signal has stayed pending, until `is_closed`. The calling
/// thread must be one of gmr's own, and must block the signal. `ready` is called when everything
/// that it needs is there.
pub(crate) fn watch(signal: i32, is_closed: impl Fn() -> bool, ready: impl FnOnce(), not_taken: impl Fn()) {
    let fd = try_separate_files().then(|| open(signal)).flatten();
    ready();
    let Some(fd) = fd else { return };
    while !is_closed() {
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        thread::sleep(TAKEN_WITHIN);
        if is_pending(signal) && !is_closed() {
            not_taken();
        }
    }
}

/// A descriptor that is readable while the signal is pending.
fn open(signal: i32) -> Option<OwnedFd> {
    let set = set_of(signal);
    // SAFETY: the set is initialised.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    // SAFETY: the descriptor is new, and nothing else owns it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the signal, which the calling thread blocks, is pending.
fn is_pending(signal: i32) -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the pointer is valid for writes, and the set is read if the call has filled it.
    unsafe { libc::sigpending(set.as_mut_ptr()) == 0 && libc::sigismember(set.as_ptr(), signal) == 1 }
}

/// Wakes a thread of gmr's that watches this signal, without running a handler: it blocks the
/// signal.
pub(crate) fn wake(watcher: i32, signal: i32) {
    // SAFETY: sending a signal touches no memory. A thread with this id that belongs to another
    // process, as after a fork, is refused.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), watcher, signal) };
}

fn set_of(signal: i32) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised by sigemptyset before it is changed. A signal number out of
    // range is refused.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        set.assume_init()
    }
}
