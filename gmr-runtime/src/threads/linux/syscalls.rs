//! Parses `/proc/PID/task/TID/syscall`: which system call a thread is in, and on which descriptor
//! or futex.

use super::syscall_names;
use crate::model::Waiting;

/// The system call that a thread is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    number: i64,
    pub(super) arguments: [u64; 6],
}

/// What the first argument of a system call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Descriptor,
    Futex,
    Other,
}

/// Parses `number arg0 .. arg5 sp pc`, all hexadecimal but the number. `None` for a thread that is
/// running, or blocked outside of a system call (`-1`).
pub(super) fn parse(text: &str) -> Option<Call> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(Call { number, arguments })
}

impl Call {
    /// Whether it waits for signals synchronously, and would consume ours.
    pub(super) fn waits_for_signals(self) -> bool {
        self.number == libc::SYS_rt_sigtimedwait
    }

    /// Whether it waits for a lock or a timeout, and for nothing else.
    pub(super) fn waits_for_lock_or_time(self) -> bool {
        [libc::SYS_futex, libc::SYS_clock_nanosleep, libc::SYS_nanosleep].contains(&self.number)
    }

    /// Whether another program is about to replace this one. It has no handler for our signal.
    pub(super) fn replaces_the_program(self) -> bool {
        [libc::SYS_execve, libc::SYS_execveat].contains(&self.number)
    }

    /// The kernel's name of the call, or its number if the call is newer than the names.
    fn name(self) -> String {
        let number = || format!("system call {}", self.number);
        syscall_names::name(self.number).map_or_else(number, str::to_owned)
    }

    /// The call by name, with its descriptor not yet looked up.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "a descriptor is an int")]
    pub(super) fn describe(self) -> Waiting {
        let (call, first) = NAMES.iter().find(|(number, ..)| *number == self.number).map_or_else(
            || (self.name(), First::Other),
            |(_, name, first)| ((*name).to_owned(), *first),
        );
        Waiting {
            call,
            descriptor: (first == First::Descriptor).then_some(self.arguments[0] as i32),
            futex: (first == First::Futex).then_some(self.arguments[0]),
            ..Waiting::default()
        }
    }
}

/// The system calls in which threads typically wait, by the names that people know.
const NAMES: &[(i64, &str, First)] = &[
    (libc::SYS_futex, "futex", First::Futex),
    (libc::SYS_futex_waitv, "futex_waitv", First::Other),
    (libc::SYS_read, "read", First::Descriptor),
    (libc::SYS_write, "write", First::Descriptor),
    (libc::SYS_readv, "readv", First::Descriptor),
    (libc::SYS_writev, "writev", First::Descriptor),
    (libc::SYS_pread64, "pread", First::Descriptor),
    (libc::SYS_pwrite64, "pwrite", First::Descriptor),
    (libc::SYS_preadv, "preadv", First::Descriptor),
    (libc::SYS_pwritev, "pwritev", First::Descriptor),
    (libc::SYS_recvfrom, "recvfrom", First::Descriptor),
    (libc::SYS_recvmsg, "recvmsg", First::Descriptor),
    (libc::SYS_recvmmsg, "recvmmsg", First::Descriptor),
    (libc::SYS_sendto, "sendto", First::Descriptor),
    (libc::SYS_sendmsg, "sendmsg", First::Descriptor),
    (libc::SYS_sendmmsg, "sendmmsg", First::Descriptor),
    (libc::SYS_sendfile, "sendfile", First::Descriptor),
    (libc::SYS_splice, "splice", First::Descriptor),
    (libc::SYS_accept, "accept", First::Descriptor),
    (libc::SYS_accept4, "accept", First::Descriptor),
    (libc::SYS_connect, "connect", First::Descriptor),
    (libc::SYS_epoll_pwait, "epoll_wait", First::Descriptor),
    (libc::SYS_epoll_pwait2, "epoll_wait", First::Descriptor),
    (libc::SYS_io_uring_enter, "io_uring_enter", First::Descriptor),
    (libc::SYS_ioctl, "ioctl", First::Descriptor),
    (libc::SYS_fcntl, "fcntl", First::Descriptor),
    (libc::SYS_flock, "flock", First::Descriptor),
    (libc::SYS_fsync, "fsync", First::Descriptor),
    (libc::SYS_fdatasync, "fdatasync", First::Descriptor),
    (libc::SYS_syncfs, "syncfs", First::Descriptor),
    (libc::SYS_fallocate, "fallocate", First::Descriptor),
    (libc::SYS_getdents64, "getdents", First::Descriptor),
    (libc::SYS_copy_file_range, "copy_file_range", First::Descriptor),
    (libc::SYS_mq_timedreceive, "mq_timedreceive", First::Other),
    (libc::SYS_msgrcv, "msgrcv", First::Other),
    (libc::SYS_semtimedop, "semtimedop", First::Other),
    (libc::SYS_ppoll, "poll", First::Other),
    (libc::SYS_pselect6, "select", First::Other),
    (libc::SYS_nanosleep, "nanosleep", First::Other),
    (libc::SYS_clock_nanosleep, "nanosleep", First::Other),
    (libc::SYS_restart_syscall, "restart_syscall", First::Other),
    (libc::SYS_rt_sigtimedwait, "sigwait", First::Other),
    (libc::SYS_rt_sigsuspend, "sigsuspend", First::Other),
    (libc::SYS_wait4, "wait", First::Other),
    (libc::SYS_waitid, "wait", First::Other),
    (libc::SYS_openat, "open", First::Other),
    (libc::SYS_statx, "stat", First::Other),
    (libc::SYS_newfstatat, "stat", First::Other),
    (libc::SYS_unlinkat, "unlink", First::Other),
    (libc::SYS_renameat2, "rename", First::Other),
    (libc::SYS_sync, "sync", First::Other),
    (libc::SYS_mmap, "mmap", First::Other),
    (libc::SYS_munmap, "munmap", First::Other),
    (libc::SYS_mprotect, "mprotect", First::Other),
    (libc::SYS_madvise, "madvise", First::Other),
    (libc::SYS_getrandom, "getrandom", First::Other),
    (libc::SYS_membarrier, "membarrier", First::Other),
    // Older than aarch64, which only has their successors.
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", First::Descriptor),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", First::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select", First::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause", First::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", First::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "stat", First::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink", First::Other),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::damaged_text;

    fn described(number: i64) -> Waiting {
        let text = format!("{number} 0x5 0x7f01 0x1 0x0 0x0 0x0 0x7ffd 0x7f02\n");
        parse(&text).unwrap().describe()
    }

    #[test]
    fn a_call_is_named_and_its_first_argument_interpreted() {
        assert_eq!(described(libc::SYS_read).descriptor, Some(5));
        let futex = described(libc::SYS_futex);
        assert_eq!((futex.call.as_str(), futex.futex, futex.descriptor), ("futex", Some(5), None));
        assert_eq!(described(libc::SYS_nanosleep).call, "nanosleep");
        assert_eq!(described(libc::SYS_semctl).call, "semctl");
        assert_eq!(described(9_999).call, "system call 9999");
        assert!(
            parse(&format!("{} 0x0 0x0 0x0 0x0 0x0 0x0 0x1 0x2", libc::SYS_rt_sigtimedwait))
                .unwrap()
                .waits_for_signals()
        );
    }

    proptest! {
        #[test]
        fn a_damaged_line_is_parsed_without_panics(
            text in damaged_text("202 0x5 0x7f01 0x1 0x0 0x0 0x0 0x7ffd 0x7f02\n"),
        ) {
            if let Some(call) = parse(&text) {
                prop_assert!(call.number >= 0);
                prop_assert!(!call.describe().call.is_empty());
            }
        }
    }

    #[test]
    fn a_running_thread_is_in_no_call() {
        for text in ["running\n", "-1 0x7ffd 0x7f02\n", "", "0 0x5"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
