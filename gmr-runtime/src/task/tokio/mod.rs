//! tokio's functions that start a task, tracked. Each has the signature of tokio's own. Nothing
//! here polls a task or joins one: that is tokio's.

mod blocking;
#[cfg(all(tokio_unstable, feature = "__tokio_tracing"))]
mod builder;
#[cfg(not(tokio_unstable))]
mod join_set;
#[cfg(tokio_unstable)]
pub mod join_set;
mod local_set;
mod runtime_ext;
#[cfg(all(test, not(gmr_loom)))]
mod testing;

use std::panic::Location;

use ::tokio::runtime::Handle;
use ::tokio::task::{self, JoinHandle};

use super::runtimes;
use super::tracked::track;

#[cfg(all(tokio_unstable, feature = "__tokio_tracing"))]
pub use builder::Builder;
pub use join_set::JoinSet;
pub use local_set::LocalSet;
pub use runtime_ext::RuntimeExt;
pub use runtimes::watch as watch_runtime;

/// `tokio::spawn`, tracked. The task is named after the future's type; the report shows the line of
/// this call as the place where it was spawned.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// async fn checkout(order: u64) -> u64 {
///     order + 1
/// }
///
/// assert_eq!(gmr_runtime::task::tokio::spawn(checkout(7)).await.unwrap(), 8);
/// # }
/// ```
///
/// # Panics
/// If called outside a tokio runtime, like `tokio::spawn`.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let handle = Handle::current();
    handle.spawn(track(future).on(runtimes::number(&handle)))
}

/// `tokio::task::spawn_local`, tracked.
///
/// # Panics
/// If called outside a `LocalSet`, like tokio's own.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    task::spawn_local(track(future).on(runtimes::number_of_local()))
}

/// `tokio::task::spawn_blocking`, tracked. While it runs, the report shows it as being polled by
/// its thread; the stack is that thread's.
///
/// # Panics
/// If called outside a tokio runtime, like tokio's own.
#[track_caller]
pub fn spawn_blocking<F, R>(function: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    task::spawn_blocking(blocking::tracked(Location::caller(), runtimes::notice(), function))
}
