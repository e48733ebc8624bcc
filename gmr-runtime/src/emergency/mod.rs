//! The report of a process in which nothing can be allocated: a stuck thread holds a lock of the
//! allocator, or there is no memory left. It has the heading, Package, and the threads with
//! addresses in their modules, as plain text.
//!
//! Everything that it needs is there before it is needed. It must not allocate, and must not take a
//! lock.

#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(gmr_noop))),
    path = "noop.rs"
)]
mod raw;

pub(crate) use raw::{has_memory, start};
