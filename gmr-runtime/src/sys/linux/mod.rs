//! Linux on `x86_64` and `aarch64`. It takes no lock that application code can hold.

pub(crate) mod claims;
pub(crate) mod compressed;
pub(crate) mod copy;
pub(crate) mod crash_modules;
pub(crate) mod debug_paths;
pub(crate) mod descriptor_table;
pub(crate) mod fatal_signal;
pub(crate) mod fetcher;
pub(crate) mod forks;
mod limits;
pub(crate) mod linked;
pub(crate) mod map_query;
pub(crate) mod mapping;
pub(crate) mod maps;
mod marking;
pub(crate) mod memory;
pub(crate) mod module_files;
pub(crate) mod modules;
pub(crate) mod pages;
pub(crate) mod parallel;
pub(crate) mod program_attributes;
#[cfg(feature = "__cli")]
mod queue_signal;
pub(crate) mod sandbox;
pub(crate) mod scheduler;
pub(crate) mod siginfo;
pub(crate) mod signal_masks;
mod sleep;
pub(crate) mod sock_diag;
pub(crate) mod sockets;
mod throttling;
pub(crate) mod variables;

pub(crate) use claims::{Claim, Purpose, claim};
pub(crate) use descriptor_table::{leave_files, leave_or_close_files, separate_files, with_files};
pub(crate) use forks::in_children;
pub(crate) use limits::{mappings_are_left, memory_is_left};
pub(crate) use linked::has_embassy;
pub(crate) use mapping::lasting;
pub(crate) use marking::{Marking, mark};
pub(crate) use modules::{Module, Modules};
pub(crate) use program_attributes::{ProgramAttributes, name_thread, remember_mask};
#[cfg(feature = "__cli")]
pub(crate) use queue_signal::queue;
pub(crate) use sandbox::program_has_filters_of_its_own;
pub(crate) use siginfo::{queued_value, sender};
pub(crate) use sleep::sleep;
pub(crate) use throttling::Throttling;
pub(crate) use variables::{find_word, word_at};

/// The kernel's id of the calling thread.
pub(crate) fn current_tid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}
