//! Threads and their stacks: list them, copy their stacks while they run, unwind the copies, name the frames.
//!
//! All `unsafe` code of gmr lives below this room, behind safe functions. It knows nothing of sections, deadlines of
//! generators, or text. The platform is chosen here and nowhere else; each platform has the same functions, and `noop`
//! is the one that says what it cannot show.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Frame, Stack, Waiting};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
#[path = "linux/mod.rs"]
mod platform;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))))]
#[path = "noop.rs"]
mod platform;

mod known;
mod source;
mod symbolize;
mod turn;

#[cfg(unix)]
pub(crate) use platform::sender;
pub(crate) use platform::{
    Module, Modules, current_tid, prepare, resolve, shield_thread, task, tasks, trace, with_files,
};
pub(crate) use symbolize::{DEADLINE as SYMBOLS_DEADLINE, symbolize};
#[cfg(feature = "__bench")]
pub(crate) use {known::forget as forget_symbols, platform::bench};

/// One thread, as the kernel describes it, before it is asked for its stack.
#[derive(Debug, Clone, Default)]
pub(crate) struct Task {
    pub(crate) tid: u32,
    pub(crate) name: String,
    pub(crate) state: Option<String>,
    pub(crate) cpu_user_ms: Option<u64>,
    pub(crate) cpu_system_ms: Option<u64>,
    pub(crate) started_at: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) last_cpu: Option<u32>,
    pub(crate) waiting: Option<Waiting>,
    /// Why it must not be sent the private signal.
    pub(crate) leave_alone: Option<String>,
}

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

    /// An address within the instruction that the frame is at: a return address may already belong to the next line, or even to
    /// the next function.
    pub(crate) fn lookup(self) -> u64 {
        match self {
            Address::Exact(address) | Address::Signal(address) => address,
            Address::Return(address) => address.saturating_sub(1),
        }
    }
}

/// The stack of one thread, with those names that are known after `patience`.
///
/// For those who hold a thread's id only: the account of a generator that missed its deadline.
pub(crate) fn of_thread(tid: u32, patience: Duration) -> Stack {
    with_files(|| {
        let modules = Modules::load();
        let traces = trace(&[task(tid)], &modules);
        let (mut stacks, _) = symbolize(&traces, &modules, patience);
        stacks.pop().unwrap_or_else(|| Stack::missing("the stack was not taken"))
    })
}

/// What the symbolizer says of one address: the function, then those it was inlined into.
#[derive(Debug, Clone, Default)]
pub(crate) struct Symbol {
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) source: Option<String>,
}

/// What an address resolved to, shared by all the stacks it occurs in.
type Resolved = Vec<Arc<Frame>>;
