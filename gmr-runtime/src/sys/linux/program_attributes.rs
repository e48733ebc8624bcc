//! The attributes of a thread that the program starts: signal mask, name, scheduling. gmr's own
//! threads have different ones, and a thread or process inherits them from the thread that starts
//! it.
//!
//! A section may be the first to use a pool, or start a helper program. These belong to the program
//! and may outlive the report, so the thread that runs the section has the attributes of the
//! program's main thread.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_name};

use super::{signal_masks, sleep};
use crate::sys::procfs::Status;
use crate::sys::{proc, thread_ids};

/// The attributes of the main thread. What cannot be read stays as it is.
#[derive(Debug)]
pub(crate) struct ProgramAttributes {
    /// Without its end; at most 15 bytes.
    name: Option<Vec<u8>>,
    /// Bit `signal - 1` is set for each blocked signal.
    blocked: Option<u64>,
    policy: Option<Policy>,
    affinity: Option<CpuSet>,
}

/// The signal mask of the thread that installed gmr.
static MASK: AtomicU64 = AtomicU64::new(0);
static MASK_IS_KNOWN: AtomicBool = AtomicBool::new(false);

/// How often the mask of the main thread is read while it blocks every signal for the C library.
const ATTEMPTS: usize = 20;

/// Remembers the calling thread's signal mask, for use when the main thread's cannot be determined.
pub(crate) fn remember_mask() {
    if let Some(mask) = signal_masks::current() {
        MASK.store(mask, Ordering::Relaxed);
        MASK_IS_KNOWN.store(true, Ordering::Release);
    }
}

/// Sets the kernel's name of the calling thread.
pub(crate) fn name_thread(name: &[u8]) {
    // The kernel cuts off what is too long.
    let name = [name, b"\0"].concat();
    let _ = CStr::from_bytes_until_nul(&name).map(set_name);
}

impl ProgramAttributes {
    /// The main thread's attributes at this moment. Reads files.
    pub(crate) fn read() -> Self {
        let pid = rustix::process::getpid();
        let main = format!("self/task/{}", thread_ids::outer(pid.as_raw_nonzero().get().unsigned_abs()));
        let name = proc::read(&format!("{main}/comm")).ok();
        Self {
            name: name.map(|name| name.strip_suffix(b"\n").unwrap_or(&name).to_vec()),
            blocked: blocked(&main),
            policy: Policy::of(Some(pid)).map(Policy::inherited),
            affinity: sched_getaffinity(Some(pid)).ok(),
        }
    }

    /// Sets them for the calling thread. An attribute that the kernel refuses stays as it is.
    pub(crate) fn adopt(&self) {
        if let Some(name) = &self.name {
            name_thread(name);
        }
        if let Some(blocked) = self.blocked {
            signal_masks::set(blocked);
        }
        if let Some(affinity) = &self.affinity
            && sched_getaffinity(None).ok().as_ref() != Some(affinity)
        {
            let _ = sched_setaffinity(None, affinity);
        }
        if let Some(policy) = &self.policy
            && Policy::of(None).as_ref() != Some(policy)
        {
            policy.adopt();
        }
    }
}

/// The signals that the main thread blocks. While the C library starts a thread or a process, it
/// blocks every signal, including those that it keeps from the program. That mask is not the
/// program's.
fn blocked(main: &str) -> Option<u64> {
    for _ in 0..ATTEMPTS {
        match Status::read(main) {
            Ok(status) if !is_the_librarys(status.blocked) => return Some(status.blocked),
            Ok(_) => sleep(Duration::from_micros(50)),
            Err(_) => break,
        }
    }
    MASK_IS_KNOWN.load(Ordering::Acquire).then(|| MASK.load(Ordering::Relaxed))
}

/// Whether the mask has the first two real-time signals, which the C library uses itself and which
/// a program cannot block by its functions.
fn is_the_librarys(blocked: u64) -> bool {
    let of_library = 0b11 << (signal_masks::FIRST_REAL_TIME - 1);
    blocked & of_library == of_library
}

/// `struct sched_attr` of `linux/sched/types.h`, in its first version.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    size: u32,
    /// As sched(7) numbers them.
    number: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// A flag: a new thread starts with the default policy.
const RESET_ON_FORK: u64 = 1;
const OTHER: u32 = libc::SCHED_OTHER.cast_unsigned();
const FIFO: u32 = libc::SCHED_FIFO.cast_unsigned();
const RR: u32 = libc::SCHED_RR.cast_unsigned();
/// No thread inherits it.
const DEADLINE: u32 = 6;

impl Policy {
    /// The scheduling of a thread; of the calling thread if there is no id.
    fn of(thread: Option<Pid>) -> Option<Self> {
        let size = u32::try_from(size_of::<Self>()).ok()?;
        let mut policy =
            Self { size: 0, number: 0, flags: 0, nice: 0, priority: 0, runtime: 0, deadline: 0, period: 0 };
        let tid = Pid::as_raw(thread);
        // SAFETY: the kernel writes at most `size` bytes, for which the structure is valid. All bit
        // patterns are valid for its fields.
        let result = unsafe { libc::syscall(libc::SYS_sched_getattr, tid, &raw mut policy, size, 0) };
        (result == 0).then_some(policy)
    }

    /// What a thread inherits from one with this policy.
    fn inherited(self) -> Self {
        if self.flags & RESET_ON_FORK == 0 {
            return self;
        }
        let is_default = !matches!(self.number, FIFO | RR | DEADLINE);
        Self {
            number: if is_default { self.number } else { OTHER },
            flags: self.flags & !RESET_ON_FORK,
            nice: if is_default { self.nice.max(0) } else { 0 },
            priority: 0,
            ..self
        }
    }

    fn adopt(&self) {
        if self.number != DEADLINE {
            // SAFETY: the kernel reads the structure, whose size it has itself written there. It
            // changes the calling thread's scheduling only.
            unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *self, 0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_mask_of_the_library_is_not_the_programs() {
        assert!(is_the_librarys(u64::MAX));
        let all_that_a_program_can_block = signal_masks::full_bits();
        assert!(!is_the_librarys(all_that_a_program_can_block));
        assert!(!is_the_librarys(0));
    }

    #[test]
    fn what_is_not_inherited_is_not_adopted() {
        let fifo = Policy {
            size: 48,
            number: FIFO,
            flags: 0,
            nice: 0,
            priority: 7,
            runtime: 0,
            deadline: 0,
            period: 0,
        };
        assert_eq!(fifo.inherited(), fifo);
        let reset = Policy { flags: RESET_ON_FORK, ..fifo };
        assert_eq!(reset.inherited(), Policy { number: OTHER, priority: 0, ..fifo });
        let urgent = Policy { number: OTHER, priority: 0, nice: -5, ..reset };
        assert_eq!(urgent.inherited(), Policy { number: OTHER, priority: 0, ..fifo });
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn a_thread_of_gmrs_becomes_like_the_main_thread() {
        let adopted = thread::spawn(|| {
            signal_masks::block_all_but([]);
            let attributes = ProgramAttributes::read();
            attributes.adopt();
            let now = Status::read("thread-self").unwrap();
            assert_eq!(Some(now.blocked), attributes.blocked);
            std::fs::read("/proc/thread-self/comm").unwrap()
        });
        let main = format!("/proc/self/task/{}/comm", std::process::id());
        assert_eq!(adopted.join().unwrap(), std::fs::read(main).unwrap());
    }
}
