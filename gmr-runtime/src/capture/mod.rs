//! How stacks are taken: each thread copies its own on a private signal, and the copies are
//! unwound. It knows nothing of sections, of the deadlines of generators, or of text.
//!
//! Most of gmr's `unsafe` code is here, behind safe functions.

use std::sync::Arc;

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

#[cfg(feature = "__bench")]
pub(crate) use platform::bench;
pub(crate) use platform::{prepare, shield_thread, signal, trace};

/// A stack as addresses: what unwinding gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// Where each frame was, innermost first. Threads of a pool share one.
    pub(crate) frames: Arc<[Address]>,
    /// Why the trace ends early, or is empty.
    pub(crate) incomplete: Option<String>,
}

/// Where a frame was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Address {
    /// The instruction that was about to run: the innermost frame, or one interrupted by a signal.
    Exact(u64),
    /// The instruction after a call.
    Return(u64),
    /// What a signal handler returns to: between the handler and what it has interrupted.
    Signal(u64),
}

impl Address {
    /// The address as it was found.
    pub(crate) fn value(self) -> u64 {
        match self {
            Address::Exact(address) | Address::Return(address) | Address::Signal(address) => address,
        }
    }

    /// An address within the instruction that the frame is at: a return address may already belong to
    /// the next line, or even to the next function.
    pub(crate) fn lookup(self) -> u64 {
        match self {
            Address::Exact(address) | Address::Signal(address) => address,
            Address::Return(address) => address.saturating_sub(1),
        }
    }
}
