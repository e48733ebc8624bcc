//! The methods of tokio's runtimes that start tasks, tracked, under names of their own.

#[cfg(all(test, not(gmr_loom)))]
mod tests;

use std::panic::Location;

use ::tokio::runtime::{Handle, Runtime};
use ::tokio::task::JoinHandle;

use super::blocking;
use crate::task::counts::uncounted;
use crate::task::runtimes;
use crate::task::tracked::track;

/// Tracked forms of the methods that run futures on a tokio runtime: of [`Runtime`] and [`Handle`].
///
/// A method of a type can't be replaced, so `handle.spawn(..)` starts a task that reports only
/// count. `handle.spawn_tracked(..)` starts one that they show.
///
/// ```
/// use gmr_runtime::task::tokio::RuntimeExt as _;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// let task = runtime.spawn_tracked(async { 17 });
/// assert_eq!(runtime.block_on_tracked(task).unwrap(), 17);
/// # Ok(())
/// # }
/// ```
pub trait RuntimeExt: Sealed {
    /// `spawn`, tracked.
    #[track_caller]
    fn spawn_tracked<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// `spawn_blocking`, tracked.
    #[track_caller]
    fn spawn_blocking_tracked<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static;

    /// `block_on`, with the future tracked as a task that is named after its type. For another
    /// name, give [`tracked_as`](crate::task::TrackExt::tracked_as) to tokio's `block_on`.
    ///
    /// # Panics
    /// If called within a runtime, like tokio's own.
    #[track_caller]
    fn block_on_tracked<F: Future>(&self, future: F) -> F::Output;
}

/// Implemented here only, so that the trait can get methods.
pub trait Sealed {}

impl Sealed for Handle {}
impl Sealed for Runtime {}

impl RuntimeExt for Handle {
    #[track_caller]
    fn spawn_tracked<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(track(future).on(runtimes::number(self)))
    }

    #[track_caller]
    fn spawn_blocking_tracked<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let runtime = runtimes::number(self);
        self.spawn_blocking(blocking::tracked(Location::caller(), runtime, function))
    }

    #[track_caller]
    fn block_on_tracked<F: Future>(&self, future: F) -> F::Output {
        self.block_on(track(future).on(uncounted(runtimes::number(self))))
    }
}

impl RuntimeExt for Runtime {
    #[track_caller]
    fn spawn_tracked<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle().spawn_tracked(future)
    }

    #[track_caller]
    fn spawn_blocking_tracked<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle().spawn_blocking_tracked(function)
    }

    // Not by the handle: only the runtime itself drives a current-thread runtime.
    #[track_caller]
    fn block_on_tracked<F: Future>(&self, future: F) -> F::Output {
        self.block_on(track(future).on(uncounted(runtimes::number(self.handle()))))
    }
}
