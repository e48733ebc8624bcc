//! What the kernel knows about the threads of this process: their names and states, what each is
//! waiting for, and how its stack can be taken.
//!
//! It reads `/proc` and disturbs no thread. `capture` takes the stacks.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::Waiting;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
pub(crate) mod linux;
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

#[cfg(target_os = "linux")]
pub(crate) use platform::open_descriptors;
pub(crate) use platform::{List, Rest, info, list, look, moved, peers, processor_times, since_list};

/// The thread that the report is about that is being made; 0 if there is none.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// Has the threads of the next report begin with this one.
pub(crate) fn set_first(tid: Option<u32>) {
    FIRST.store(tid.unwrap_or(0), Ordering::Relaxed);
}

/// The thread with which those of the report begin.
pub(crate) fn first() -> Option<u32> {
    Some(FIRST.load(Ordering::Relaxed)).filter(|tid| *tid != 0)
}

/// One thread as the kernel describes it, before its stack is captured.
#[derive(Debug, Clone, Default)]
pub(crate) struct ThreadInfo {
    pub(crate) tid: u32,
    pub(crate) name: String,
    pub(crate) state: Option<String>,
    pub(crate) cpu_user_ms: Option<u64>,
    pub(crate) cpu_system_ms: Option<u64>,
    /// Where clocks are precise.
    pub(crate) cpu_us: Option<u64>,
    pub(crate) started_at: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) last_cpu: Option<u32>,
    pub(crate) waiting: Option<Waiting>,
    /// For how long it has not run, at least.
    pub(crate) at_rest_ms: Option<u64>,
    pub(crate) access: Access,
    /// Whether the kernel has started it in this process, as `io_uring` starts its workers.
    pub(crate) is_kernels: bool,
    /// The number of the error, if most fields are missing because of one.
    pub(crate) unread: Option<i32>,
    /// The number of the error, if it is not known, or not in full, what a descriptor that the
    /// thread waits for refers to.
    pub(crate) target_unread: Option<i32>,
}

/// The process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketHolder {
    /// In words: `process 4711 (postgres)`.
    pub(crate) words: String,
    /// Whether it is this process alone, and all others that the kernel shows have been read.
    pub(crate) is_this_process: bool,
}

/// How the stack of a thread can be taken.
#[derive(Debug, Clone, Default)]
pub(crate) enum Access {
    /// It was blocked: its stack can be read from memory. Whether it may be signalled has not been
    /// checked.
    AtRest(Rest),
    /// It runs, or the kernel does not show where it is blocked. It may be signalled.
    #[default]
    BySignal,
    /// The same, but it must not be signalled, and why.
    Skip(String),
}
