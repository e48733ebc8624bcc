//! What the other modules need from the operating system: ids, signal masks, memory, the address
//! map, loaded modules, `/proc`, descriptors, gmr's own threads, a mutex with a deadline,
//! deadlines, and what only one copy of gmr in a process may do at a time.
//!
//! It depends on no other module and makes no decisions: it reads, and returns what it has read.
//! `linux` is for the supported platforms. `noop` has the functions that every platform needs; they
//! return that nothing is known.

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

pub(crate) mod attach;
#[cfg(target_os = "linux")]
pub(crate) mod c_library;
#[cfg(target_os = "linux")]
pub(crate) mod cgroups;
pub(crate) mod channel;
pub(crate) mod deadline;
#[cfg(target_os = "linux")]
pub(crate) mod disposition;
#[cfg(target_os = "linux")]
pub(crate) mod early_signal;
#[cfg(target_os = "linux")]
pub(crate) mod elf_sections;
#[cfg(feature = "tracing")]
pub(crate) mod filtered_layer;
pub(crate) mod forked_lock;
pub(crate) mod hash;
pub(crate) mod mark;
#[cfg(target_os = "linux")]
pub(crate) mod memory_file;
#[cfg(target_os = "linux")]
pub(crate) mod mounts;
#[cfg(test)]
pub(crate) mod mutation;
pub(crate) mod own_threads;
#[cfg(target_os = "linux")]
pub(crate) mod pending_signal;
#[cfg(target_os = "linux")]
pub(crate) mod proc;
#[cfg(target_os = "linux")]
pub(crate) mod procfs;
#[cfg(target_os = "linux")]
pub(crate) mod report_signal;
#[cfg(target_os = "linux")]
pub(crate) mod seccomp;
#[cfg(target_os = "linux")]
pub(crate) mod secure;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop)))]
pub(crate) mod short;
pub(crate) mod sort;
pub(crate) mod sorted_map;
#[cfg(target_os = "linux")]
pub(crate) mod termination;
#[cfg(target_os = "linux")]
pub(crate) mod thread_ids;
pub(crate) mod timed_mutex;
#[cfg(target_os = "linux")]
pub(crate) mod usage;
#[cfg(target_os = "linux")]
pub(crate) mod users;

/// Bytes that several readers share.
pub(crate) type Lasting = std::sync::Arc<dyn std::ops::Deref<Target = [u8]> + Send + Sync>;

#[cfg(all(feature = "__cli", unix))]
pub(crate) use platform::queue;
#[cfg(unix)]
pub(crate) use platform::sender;
pub(crate) use platform::{Claim, Marking, Module, Modules, ProgramAttributes, Purpose};
pub(crate) use platform::{
    claim, current_tid, find_word, has_embassy, in_children, lasting, mark, memory_is_left, name_thread,
    program_has_filters_of_its_own, remember_mask, separate_files, sleep, with_files, word_at,
};
#[cfg(target_os = "linux")]
pub(crate) use platform::{leave_files, leave_or_close_files, queued_value};
