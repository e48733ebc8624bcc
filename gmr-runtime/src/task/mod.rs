//! Asynchronous tasks: which there are, what each does, and, when a report is made, where each waits.
//!
//! A tracked future keeps a few numbers about itself up to date; that is all it costs. When a report wants to know more, every waiting task is woken and polled once with a waker that takes the
//! stack whenever it is cloned: whoever is about to wait clones it, at the very place where the task waits. No runtime is needed for that, and no attribute on the functions between.
//!
//! The unsafe code of this room is the waker's. It knows nothing of sections and text.

mod entry;
mod own;
mod registered;
mod registry;
#[cfg(feature = "tokio")]
pub(crate) mod runtimes;
mod sync;
#[cfg(test)]
mod tests;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod tracked;
mod waker;

pub(crate) use entry::{Condition, Entry};
pub use own::label;
pub(crate) use trace::{Branch, Branches, Survey, survey};
#[doc(hidden)]
pub use tracked::named;
pub use tracked::{TrackExt, Tracked, track};

/// The name of a future's type, as its author would write it: `orders::checkout` for `orders::checkout::{{closure}}`.
fn readable_type(name: &'static str) -> &'static str {
    let mut name = name;
    while let Some(outer) = name.strip_suffix("::{{closure}}") {
        name = outer;
    }
    name
}
