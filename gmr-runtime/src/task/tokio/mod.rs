//! tokio's functions that start a task, tracked. Each has the signature of tokio's own. Nothing
//! here polls a task or joins one: that is tokio's.

mod blocking;
mod join_set;

use std::panic::Location;

use ::tokio::task::{self, JoinHandle};

use super::runtimes;
use super::tracked::track;

pub use join_set::JoinSet;
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
    runtimes::notice();
    task::spawn(track(future))
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
    runtimes::notice();
    task::spawn_local(track(future))
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
    runtimes::notice();
    task::spawn_blocking(blocking::tracked(Location::caller(), function))
}
