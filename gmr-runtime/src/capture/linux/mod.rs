//! Linux: stacks of blocked threads are read from memory, and a real-time signal makes the other
//! threads copy theirs. They are unwound with the tables of the images in memory.
//!
//! It takes no lock that application code can hold: not the loader's, and in the signal handler not
//! the allocator's.

mod arch;
mod arena;
mod at_rest;
#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod by_signal;
mod copies;
pub(crate) mod crash;
mod handler;
#[cfg(target_arch = "x86_64")]
mod held;
mod kept;
mod own_stack;
mod session;
mod signals;
#[cfg(feature = "__bench")]
mod timing;
mod unwind;
mod wait;

pub(crate) use copies::{CopyUnwinder, Shapes};
#[cfg(target_arch = "x86_64")]
pub(crate) use held::held_locks;
pub(crate) use own_stack::{OwnRegisters, OwnStack, Root, StackCopy};
pub(crate) use session::{trace, trace_all};
pub(crate) use signals::{capture_signal as signal, prepare, shield_thread};
#[cfg(feature = "__fuzz")]
pub(crate) use unwind::unwind_bytes;
