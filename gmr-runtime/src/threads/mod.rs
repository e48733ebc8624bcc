//! What the kernel says of the threads of this process: which there are, what each is doing, what
//! it waits for, and whether it may be sent a signal.
//!
//! It reads `/proc` and disturbs no thread. Stacks are the business of `capture`.

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

/// One thread, as the kernel describes it, before it is asked for its stack.
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
    /// Why it must not be sent the private signal.
    pub(crate) skip_reason: Option<String>,
}
