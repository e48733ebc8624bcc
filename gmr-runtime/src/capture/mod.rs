//! Captures stacks. That of a blocked thread is copied from memory; a thread that runs copies its
//! own when a private signal (the capture signal) asks it to, and one that polls a task copies a
//! part of its own. The copies are unwound. It knows nothing about sections, deadlines of
//! generators, or views.
//!
//! Most of gmr's `unsafe` code is here, behind safe functions.

use std::sync::Arc;

use crate::model::Taken;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
mod linux;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
use linux as platform;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))))]
mod noop;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(gmr_noop)
)))]
use noop as platform;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(gmr_noop))))]
mod held_noop;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(gmr_noop))))]
pub(crate) use held_noop::held_locks;

#[cfg(all(
    feature = "__bench",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(gmr_noop)
))]
pub(crate) use platform::bench;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
pub(crate) use platform::crash;
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(gmr_noop)))]
pub(crate) use platform::held_locks;
#[cfg(feature = "__fuzz")]
pub(crate) use platform::unwind_bytes;
pub(crate) use platform::{CopyUnwinder, OwnRegisters, OwnStack, Root, Shapes, StackCopy};
pub(crate) use platform::{prepare, shield_thread, signal, trace, trace_all};

/// A stack as addresses: the result of unwinding.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// The address of each frame, innermost first. Threads with the same stack share one.
    pub(crate) frames: Arc<[Address]>,
    /// Why the trace ends early or is empty.
    pub(crate) incomplete: Option<String>,
    /// How the stack of a thread was taken, if there is one.
    pub(crate) taken: Option<Taken>,
}

/// A lock to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "some platforms do not look for it")]
pub(crate) struct Wanted {
    /// The address of its word.
    pub(crate) address: u64,
    /// Whether it is a lock with readers and writers.
    pub(crate) is_shared: bool,
    /// Whether it is what threads wait for while another one initializes a value.
    pub(crate) is_once: bool,
}

/// What is known of a thread that may hold locks.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "some platforms do not look for it")]
pub(crate) struct LockUse {
    /// The lock that it waits for.
    pub(crate) waits_for: Option<u64>,
    /// Whether it waits for a condition variable, which releases a lock until then.
    pub(crate) has_given_up_one: bool,
    /// What each of its frames is in, innermost first, one for each address.
    pub(crate) frames: Arc<[FrameUse]>,
}

/// The function of a frame, as far as it matters for locks: what matters least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FrameUse {
    /// It holds no locks, such as those of std.
    Other,
    /// One of the program's, which may hold locks.
    Program,
    /// It initializes a value, or waits until another thread has done so.
    Once,
}

/// What a function is for, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It unlocks the lock that it is given.
    Unlock,
    /// It drops a guard of one of std's locks.
    DropGuard(Guard),
    /// It drops another object.
    Drop,
    /// It locks.
    Acquire,
    /// It leaves what it is given as it is.
    Look,
    /// It wakes threads that wait for a lock, which has been released. To do so, it changes the
    /// lock's word as functions do that lock.
    Wake,
    /// It makes the system call whose number it is given.
    SystemCall,
    Other,
}

/// How a function is given a guard. What follows the lock's address in some guards is a flag of one
/// byte, behind which there may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "some platforms do not look for it")]
pub(crate) struct Guard {
    /// Whether it is given the guard's words, and not the address of the guard.
    pub(crate) by_value: bool,
    /// Which of the words is the lock's address: the second one if it is a guard of a reader.
    pub(crate) word: u8,
}

/// What the function that begins at an address is for.
pub(crate) type PurposeOf<'a> = dyn FnMut(u64) -> Purpose + Send + 'a;

/// A lock that a thread holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "some platforms do not look for it")]
pub(crate) struct Held {
    /// The index of the thread in the list.
    pub(crate) thread: usize,
    /// The lock's address.
    pub(crate) lock: u64,
    /// The index of the frame that will release it, one for each address.
    pub(crate) frame: usize,
    /// Whether it will do so in any case.
    pub(crate) is_certain: bool,
}

/// The code address of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Address {
    /// The next instruction to run: of the innermost frame, or of one that a signal interrupted.
    Exact(u64),
    /// The instruction after a call.
    Return(u64),
    /// The code that a signal handler returns to, between the handler and what it interrupted.
    Signal(u64),
}

impl Address {
    /// The address as it was found.
    pub(crate) fn value(self) -> u64 {
        match self {
            Address::Exact(address) | Address::Return(address) | Address::Signal(address) => address,
        }
    }

    /// An address within the instruction that the frame is at. A return address can already belong
    /// to the next line, or even to the next function.
    pub(crate) fn lookup(self) -> u64 {
        match self {
            Address::Exact(address) | Address::Signal(address) => address,
            Address::Return(address) => address.saturating_sub(1),
        }
    }
}
