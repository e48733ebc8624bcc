//! Linux: stacks are taken by a private signal, modules from `/proc/self/maps` and the images in memory.
//!
//! Nothing here takes a lock that application code can hold: not the loader's, not the allocator's in a handler.

mod arch;
#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod capture;
mod descriptors;
mod handler;
mod memory;
mod modules;
mod signals;
mod spare_files;
mod syscalls;
mod tasks;
mod unwind;

pub(crate) use capture::trace;
pub(crate) use modules::Modules;
pub(crate) use signals::{prepare, sender, shield_thread};
pub(crate) use spare_files::with_files;
pub(crate) use tasks::{task, tasks};

/// The kernel's id of the calling thread.
pub(crate) fn current_tid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}
