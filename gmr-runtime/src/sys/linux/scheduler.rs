//! What the scheduler knows about a thread of this process: how much CPU time it has used, and
//! under which policy it runs. Neither opens a file nor disturbs the thread.

#![allow(unsafe_code)]

use std::io;

use rustix::io::Errno;

/// The CPU time that a thread of this process has used, in nanoseconds.
///
/// It grows whenever the thread runs, and at no other time. So a thread has not run between two
/// readings that are equal, if [the clock is precise](is_precise).
///
/// # Errors
/// `ESRCH` if there is no such thread.
pub(crate) fn cpu_time(tid: u32) -> io::Result<u64> {
    // The id of a thread's CPU clock in the kernel's ABI (`posix-timers.h`): the complement of the
    // thread's id, then 4 for a thread and 2 for CPU time as the scheduler counts it.
    let clock = !tid.cast_signed() << 3 | 4 | 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes. The kernel refuses an id that is not a thread's.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if result == 0 {
        return Ok(time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned());
    }
    let error = io::Error::last_os_error();
    // Of a thread that does not exist, the kernel says that the clock is invalid.
    Err(if error.raw_os_error() == Some(libc::EINVAL) { Errno::SRCH.into() } else { error })
}

/// Whether the CPU clock of a thread shows even the shortest run. It does where the kernel counts
/// nanoseconds. Where it counts ticks, as in gVisor, a thread can run between two equal readings.
pub(crate) fn is_precise() -> bool {
    let tid = super::current_tid();
    let readings = [(); 4].map(|()| cpu_time(tid).ok());
    readings[0].is_some() && readings.is_sorted_by(|earlier, later| earlier < later)
}

/// The scheduling policy of a thread, as sched(7) numbers them.
pub(crate) fn policy(tid: u32) -> Option<u32> {
    // A bare system call, because musl's function always fails.
    // SAFETY: it takes a thread id and accesses no memory of this process.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, tid.cast_signed()) };
    // Its children start with the default policy: no part of the policy itself.
    u32::try_from(policy).ok().map(|policy| policy & !libc::SCHED_RESET_ON_FORK.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::sys::current_tid;

    /// Above the highest id that the kernel gives (2^22), and within those that a clock can have.
    const NO_THREAD: u32 = 5_000_000;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn the_clock_of_a_thread_moves_only_while_it_runs() {
        let (send_tid, tid) = mpsc::channel();
        let (wake, woken) = mpsc::channel();
        let other = thread::spawn(move || {
            send_tid.send(current_tid()).unwrap();
            while woken.recv().is_ok() {
                send_tid.send(current_tid()).unwrap();
            }
        });
        let tid_of_other = tid.recv().unwrap();
        assert!(is_precise());
        // It is blocked as soon as its clock stands still.
        let standing = loop {
            let before = cpu_time(tid_of_other).unwrap();
            thread::sleep(std::time::Duration::from_millis(1));
            if cpu_time(tid_of_other).unwrap() == before {
                break before;
            }
        };
        wake.send(()).unwrap();
        assert_eq!(tid.recv().unwrap(), tid_of_other);
        assert!(cpu_time(tid_of_other).unwrap() > standing);
        drop(wake);
        other.join().unwrap();
        assert_eq!(cpu_time(NO_THREAD).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn the_policy_is_the_one_in_stat() {
        let stat = crate::sys::procfs::Stat::read("thread-self").unwrap();
        assert_eq!(policy(current_tid()), stat.policy);
        assert_eq!(policy(NO_THREAD), None);
    }
}
