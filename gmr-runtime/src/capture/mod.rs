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

#[cfg(all(
    feature = "__bench",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(gmr_noop)
))]
pub(crate) use platform::bench;
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
