//! Sends a signal with a value to another process, for the command `gmr`. The reporter sends none.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::siginfo::SI_QUEUE;

/// The part of the kernel's `siginfo_t` that such a signal has (`asm-generic/siginfo.h`).
#[repr(C)]
struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    pid: i32,
    uid: u32,
    value: u64,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

/// Sends the signal to the process of this pidfd.
///
/// # Errors
/// The kernel refuses it: the process belongs to another user, or has ended.
pub(crate) fn queue(pidfd: BorrowedFd<'_>, signal: i32, value: u64) -> io::Result<()> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let uid = rustix::process::getuid().as_raw();
    let info = Info { signal, errno: 0, code: SI_QUEUE, padding: 0, pid, uid, value, rest: [0; 12] };
    let (pidfd, flags) = (pidfd.as_raw_fd(), 0);
    // SAFETY: the kernel reads the structure, which has the size and the layout that it expects,
    // and changes no memory of this process.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, &raw const info, flags) };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use rustix::process::{PidfdFlags, getpid, pidfd_open};

    use super::super::super::attach::Attach;
    use super::super::super::report_signal::{Arrivals, register};
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "it handles a signal")]
    fn the_handler_tells_requests_from_other_values() {
        let arrivals = std::sync::Arc::new(Arrivals::new());
        let signal = libc::SIGRTMIN() + 6;
        let _registration = register(signal, &arrivals).unwrap();
        let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        let attach = Attach { is_json: true, without_tasks: true, is_look: false, token: 0xdead_beef };
        let values = [attach.encode(), 0, 0xdead_beef, attach.encode(), attach.encode() ^ 1 << 63];
        for value in values {
            queue(std::os::fd::AsFd::as_fd(&this), signal, value).unwrap();
        }
        // Another thread of this process may take them.
        while arrivals.progress().signals < 4 {
            std::thread::yield_now();
        }
        assert!(arrivals.has_signals());
        let attached: Vec<_> = arrivals.take_attached().collect();
        let [(its, Some((pid, _)))] = attached[..] else { panic!("{attached:?}") };
        assert_eq!((its, pid), (attach, std::process::id()));
        let others = arrivals.take();
        assert_eq!((others.own.count, others.others.count), (3, 0));
        assert!(!arrivals.has_signals());
    }
}
