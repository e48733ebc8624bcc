//! Whether a thread has run: its CPU clock, and the registers and the system call that the kernel
//! shows of a thread that is blocked.
//!
//! A thread whose CPU clock is where it was has not run, so its stack and its registers are what
//! they were. The kernel shows a thread that was woken and has not run yet as running.

use std::io;

use super::entry::Entries;
use super::syscalls::{self, Call};
use crate::sys::linux::scheduler;
use crate::sys::procfs::Directory;

/// A moment at which a thread did not run. It has not run between two moments that are equal, so it
/// is in the same call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The inode of the thread's directory. It distinguishes the thread from an earlier one with
    /// the same id.
    inode: u64,
    /// The CPU time that it had used, in nanoseconds.
    cpu_time: u64,
    sp: u64,
    ip: u64,
}

impl Moment {
    /// The inode of the thread's directory.
    pub(super) fn inode(self) -> u64 {
        self.inode
    }

    /// The CPU time that the thread had used, in nanoseconds.
    pub(super) fn cpu_time(self) -> u64 {
        self.cpu_time
    }
}

/// The position of a thread that is not running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    moment: Moment,
    /// The system call that it is blocked in. `None` if it is blocked outside of one, for example
    /// by a page fault, or stopped there.
    pub(super) call: Option<Call>,
}

impl Rest {
    pub(crate) fn moment(&self) -> Moment {
        self.moment
    }

    /// The stack pointer.
    pub(crate) fn sp(&self) -> u64 {
        self.moment.sp
    }

    /// The instruction pointer.
    pub(crate) fn ip(&self) -> u64 {
        self.moment.ip
    }

    /// The arguments of the system call, which are still in their registers.
    pub(crate) fn arguments(&self) -> Option<[u64; 6]> {
        self.call.map(|call| call.arguments)
    }
}

/// Reads whether threads of this process have run.
pub(crate) struct Observer {
    directory: Directory,
    entries: Entries,
}

impl Observer {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { directory: Directory::open("self/task")?, entries: Entries::default() })
    }

    /// The present moment of a thread, `None` if it runs or has ended.
    ///
    /// # Errors
    /// If the kernel does not show what a thread is blocked in, or its clock.
    pub(crate) fn observe(&mut self, tid: u32, inode: u64) -> io::Result<Option<Rest>> {
        // The clock first: whatever is read after it, and found to be the same before the clock is
        // read again, belongs to one moment.
        let cpu_time = scheduler::cpu_time(tid);
        let text = self.directory.read_of(tid, "syscall")?;
        Ok(parse(&text, inode, cpu_time?))
    }

    /// Observes the same thread again.
    pub(crate) fn observe_again(&mut self, tid: u32, rest: &Rest) -> Option<Rest> {
        self.observe(tid, rest.moment.inode).ok()?
    }

    /// Whether the thread has not run since this moment.
    pub(crate) fn is_unchanged(&mut self, tid: u32, rest: &Rest) -> bool {
        // The clock last; see `observe`.
        let text = self.directory.read_of(tid, "syscall");
        let now = text.ok().and_then(|text| parse(&text, rest.moment.inode, rest.moment.cpu_time));
        now.as_ref() == Some(rest) && scheduler::cpu_time(tid).ok() == Some(rest.moment.cpu_time)
    }

    /// Whether the thread has not run since this moment, by its clock alone. That is enough to know
    /// that it is still in the same call, where clocks [are precise](scheduler::is_precise).
    pub(super) fn has_not_run(tid: u32, rest: &Rest) -> bool {
        scheduler::cpu_time(tid).ok() == Some(rest.moment.cpu_time)
    }

    /// Whether the system call that this thread is blocked in is one of a 32-bit program.
    pub(super) fn is_32_bit(&mut self, rest: &Rest) -> bool {
        self.entries.is_32_bit(rest.ip())
    }

    /// The directory that it reads from.
    pub(super) fn directory(&mut self) -> &mut Directory {
        &mut self.directory
    }
}

/// Parses a line of the kernel's file: `running`, or the system call with its arguments, or -1;
/// then the stack pointer and the instruction pointer. A thread that has ended has neither.
pub(crate) fn parse(line: &str, inode: u64, cpu_time: u64) -> Option<Rest> {
    let mut words = line.split_ascii_whitespace().rev();
    let mut register = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (ip, sp) = (register()?, register()?);
    let call = syscalls::parse(line);
    let is_blocked = call.is_some() || line.starts_with("-1 ");
    (is_blocked && sp != 0).then_some(Rest { moment: Moment { inode, cpu_time, sp, ip }, call })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use proptest::prelude::*;

    use super::*;
    use crate::sys::current_tid;
    use crate::sys::mutation::damaged_text;

    const LINE: &str = "202 0x5 0x7f01 0x1 0x0 0x0 0x0 0x7ffd 0x7f02\n";

    #[test]
    fn a_blocked_thread_has_a_stack_pointer() {
        let rest = parse(LINE, 1, 2).unwrap();
        assert_eq!((rest.sp(), rest.ip()), (0x7ffd, 0x7f02));
        assert_eq!(rest.arguments(), Some([5, 0x7f01, 1, 0, 0, 0]));
        let outside = parse("-1 0x7ffd 0x7f02\n", 1, 2).unwrap();
        assert_eq!((outside.sp(), outside.ip(), outside.arguments()), (0x7ffd, 0x7f02, None));
        // Running, ended, and malformed.
        for line in ["running\n", "-1 0x0 0x0\n", "", "202 0x7ffd 0x7f02\n", "-1 7ffd 7f02\n"] {
            assert_eq!(parse(line, 1, 2), None, "{line:?}");
        }
    }

    #[test]
    fn moments_differ_by_each_of_their_parts() {
        let rest = parse(LINE, 1, 2);
        assert_eq!(parse(LINE, 1, 2), rest);
        assert_ne!(parse(LINE, 3, 2), rest, "another thread with this id");
        assert_ne!(parse(LINE, 1, 3), rest, "it has run");
        for (from, to) in [("202", "203"), ("0x7f01", "0x7f11"), ("0x7ffd", "0x7ffe"), ("0x7f02", "0x7f03")] {
            assert_ne!(parse(&LINE.replace(from, to), 1, 2), rest, "{from}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_line_is_parsed_without_panics(text in damaged_text(LINE)) {
            prop_assert!(parse(&text, 1, 2).is_none_or(|rest| rest.sp() != 0));
        }
    }

    #[test]
    fn a_thread_that_runs_between_two_looks_has_changed() {
        let (send_tid, tid) = mpsc::channel();
        let (wake, woken) = mpsc::channel();
        thread::spawn(move || {
            send_tid.send(current_tid()).unwrap();
            while woken.recv().is_ok() {
                send_tid.send(current_tid()).unwrap();
            }
        });
        let other = tid.recv().unwrap();
        let mut observer = Observer::new().unwrap();
        let mut at_rest = || {
            loop {
                if let Some(rest) = observer.observe(other, 1).unwrap()
                    && observer.is_unchanged(other, &rest)
                {
                    break rest;
                }
                thread::yield_now();
            }
        };
        let before = at_rest();
        assert_eq!(at_rest(), before);
        wake.send(()).unwrap();
        tid.recv().unwrap();
        // Blocked at the same place, but it has run.
        let after = at_rest();
        assert_ne!(after, before);
        assert_eq!((after.sp(), after.ip()), (before.sp(), before.ip()));
        assert!(!observer.is_unchanged(other, &before));
        assert!(observer.observe(0x3fff_ffff, 1).is_err());
    }
}
