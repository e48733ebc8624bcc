//! What the kernel knows about the threads of this process: their names and states, what each is
//! waiting for, and whether it may be signalled.
//!
//! It reads `/proc` and disturbs no thread. `capture` takes the stacks.

use crate::model::Waiting;

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

pub(crate) use platform::{info, list};

/// One thread as the kernel describes it, before its stack is captured.
#[derive(Debug, Clone, Default)]
pub(crate) struct ThreadInfo {
    pub(crate) tid: u32,
    pub(crate) name: String,
    pub(crate) state: Option<String>,
    pub(crate) cpu_user_ms: Option<u64>,
    pub(crate) cpu_system_ms: Option<u64>,
    pub(crate) started_at: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) last_cpu: Option<u32>,
    pub(crate) waiting: Option<Waiting>,
    /// Why the capture signal must not be sent to it.
    pub(crate) skip_reason: Option<String>,
}
