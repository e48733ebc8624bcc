//! Linux: stacks are taken by a private signal, and unwound by the tables of the images in memory.
//!
//! Nothing here takes a lock that application code can hold: not the loader's, not the allocator's
//! in a handler.

mod arch;
mod arena;
#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod handler;
mod session;
mod signals;
#[cfg(feature = "__bench")]
mod timing;
mod unwind;
mod wait;

pub(crate) use session::trace;
pub(crate) use signals::{prepare, private as signal, shield_thread};
