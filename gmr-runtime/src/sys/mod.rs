//! What the other modules need from the operating system: ids, signal masks, memory, the address
//! map, loaded modules, `/proc`, descriptors, and threads of gmr's own.
//!
//! It depends on no other module and decides nothing: it reads, and hands over what it has read.
//! `linux` has what only supported platforms have; `noop` has the part of it that every platform
//! needs, and says that there is nothing to show.

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

pub(crate) mod own_threads;
#[cfg(target_os = "linux")]
pub(crate) mod procfs;
pub(crate) mod timed_mutex;

#[cfg(unix)]
pub(crate) use platform::sender;
pub(crate) use platform::{Module, Modules, current_tid, with_files};
