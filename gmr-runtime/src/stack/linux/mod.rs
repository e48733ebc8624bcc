//! Linux: stacks are taken by a private signal, modules from `/proc/self/maps` and the images in memory.
//!
//! Nothing here takes a lock that application code can hold: not the loader's, not the allocator's in a handler.

mod arch;
#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod capture;
mod debug_info;
mod descriptors;
mod handler;
mod lines;
mod mapped;
mod maps;
mod memory;
mod modules;
mod resolver;
mod signals;
mod spare_files;
mod syscalls;
mod tasks;
mod unwind;

pub(crate) use capture::trace;
pub(crate) use modules::{Module, Modules};
pub(crate) use resolver::resolve;
pub(crate) use signals::{prepare, sender, shield_thread};
pub(crate) use spare_files::with_files;
pub(crate) use tasks::{task, tasks};

/// The kernel's id of the calling thread.
pub(crate) fn current_tid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}
