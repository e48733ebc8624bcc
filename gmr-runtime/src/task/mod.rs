//! Asynchronous tasks: which there are, what each does, and, when a report is made, where each waits.
//!
//! A tracked future keeps a few numbers about itself up to date; that is all it costs. When a report wants to know more, every waiting task is woken and polled once with a waker that takes the
//! stack whenever it is cloned: whoever is about to wait clones it, at the very place where the task waits. No runtime is needed for that, and no attribute on the functions between.
//!
//! The unsafe code of this room is the waker's. It knows nothing of sections and text.

mod branch;
mod current;
mod entry;
#[cfg(all(test, gmr_loom))]
mod loom_tests;
mod registered;
mod registry;
#[cfg(feature = "tokio")]
pub(crate) mod runtimes;
mod sync;
#[cfg(all(test, not(gmr_loom)))]
mod tests;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
pub(crate) mod tracked;
mod waker;

pub(crate) use branch::{Branch, Branches};
pub use current::label;
pub(crate) use entry::Condition;
pub(crate) use trace::{Survey, survey};
pub use tracked::{TrackExt, Tracked, track};
