//! Asynchronous tasks: which tasks exist, what each is doing and, when a report is made, where each
//! waits.
//!
//! A tracked future keeps a few numbers about itself up to date; between reports, it does nothing
//! else. For a report, every waiting task is woken and polled once with a waker that takes the
//! stack whenever it is cloned: a future clones its waker at exactly the place where it is about to
//! wait. That works on any runtime, and needs no attribute on the functions in between.
//!
//! The only unsafe code is in `waker.rs`. Nothing here knows about sections or views.

#[cfg(feature = "__bench")]
pub(crate) mod bench;
mod branch;
#[cfg(all(test, not(gmr_loom)))]
mod counting;
#[cfg(feature = "tokio")]
mod counts;
mod current;
mod entry;
mod kinds;
#[cfg(all(test, gmr_loom))]
mod loom_tests;
#[cfg(feature = "tokio")]
pub(crate) mod metrics;
mod place;
mod registered;
mod registry;
#[cfg(feature = "tokio")]
pub(crate) mod runtimes;
pub(crate) mod slow;
mod sync;
#[cfg(all(test, not(gmr_loom)))]
mod tests;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tokio")]
mod tokio_wakers;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
pub(crate) mod tracked;
mod waker;
mod waking;
#[cfg(feature = "tokio")]
pub(crate) mod watchdog;

/// The name of the tasks by which the option `watchdog` tells whether runtimes poll.
const WATCHDOG: &str = "gmr watchdog";

#[cfg(test)]
pub(crate) use branch::Leaf;
pub(crate) use branch::{Branch, Branches};
#[cfg(feature = "tracing")]
pub(crate) use current::here;
pub(crate) use current::id_here;
pub use current::label;
pub(crate) use entry::{Condition, Entry, LeftOut, Poll};
#[cfg(feature = "tracing")]
pub(crate) use registered::full_id;
pub(crate) use slow::{first, set_first};
pub(crate) use trace::{Panicked, Survey, has_tasks, poll_tasks, survey};
pub use tracked::{TrackExt, Tracked, track};
