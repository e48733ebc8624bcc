//! Notices a report signal that no thread takes.
//!
//! Linux gives a signal for the whole process to the main thread, unless that thread blocks it. It
//! does so even while the main thread is in uninterruptible sleep, because it waits for the child
//! of a `vfork` or for a disk that does not respond. The signal then stays pending. No other thread
//! is woken, although any of them could take it. While it is pending, the kernel drops later ones.
//!
//! A signalfd is readable while a signal is pending, and the kernel checks it when one is sent. So
//! a thread that polls a signalfd sleeps while no signal is sent, and notices a signal that stays
//! pending. Then the reporter takes the signal. The alternatives do more harm:
//!
//! - If the main thread blocked the signal, the kernel would choose another one. But each thread
//!   and each program that the main thread starts would block it as well, and such a program could
//!   not be asked for a report.
//! - To check from time to time whether a signal is pending would wake an idle process.
//!
//! The descriptor is in a table of the thread's own, which has no other one ([`leave_files`]).
//! Before Linux 5.9 there is no such table, and nothing is noticed.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::{leave_files, sleep};

/// How long a thread may take to run the handler. One that runs or sleeps takes microseconds.
const TAKEN_WITHIN: Duration = Duration::from_millis(200);

/// Calls `not_taken` each time this signal has stayed pending, until `is_closed`. The calling
/// thread must be one of gmr's own, and must block the signal. `ready` is called when the thread
/// has everything that it needs.
pub(crate) fn watch(signal: i32, is_closed: impl Fn() -> bool, ready: impl FnOnce(), not_taken: impl Fn()) {
    let fd = leave_files().then(|| open(signal)).flatten();
    ready();
    let Some(fd) = fd else { return };
    while !is_closed() {
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        sleep(TAKEN_WITHIN);
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

/// Wakes the thread of gmr's that watches this signal. No handler runs, because that thread blocks
/// the signal.
pub(crate) fn wake(watcher: i32, signal: i32) {
    // SAFETY: sending a signal touches no memory. A thread with this id that belongs to another
    // process, as after a fork, is refused.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), watcher, signal) };
}

fn set_of(signal: i32) -> libc::sigset_t {
    // musl's sigemptyset sets only the part that the kernel has signals for.
    let mut set = MaybeUninit::zeroed();
    // SAFETY: the set is initialised, and valid for writes. A signal number out of range is
    // refused.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        set.assume_init()
    }
}
