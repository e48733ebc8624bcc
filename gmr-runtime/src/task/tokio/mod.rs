//! tokio's ways to start a task, tracked. Each takes what tokio's own takes, and returns what that returns.

use std::ops::{Deref, DerefMut};
use std::panic::Location;

use ::tokio::runtime::Handle;
use ::tokio::task::{self, AbortHandle, JoinHandle};

use super::current;
use super::registered::Registered;
use super::runtimes;
use super::tracked::{named, readable_type};

/// `tokio::spawn`, tracked: the task is named after the future's type, and shown with this line as the place where it was spawned.
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
/// Outside of a tokio runtime, as `tokio::spawn` does.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtimes::notice();
    task::spawn(named(readable_type(std::any::type_name::<F>()), future))
}

/// `tokio::task::spawn_local`, tracked.
///
/// # Panics
/// Outside of a `LocalSet`, as tokio's own does.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    runtimes::notice();
    task::spawn_local(named(readable_type(std::any::type_name::<F>()), future))
}

/// `tokio::task::spawn_blocking`, tracked: while it runs, it is shown as being polled by its thread, whose stack is among the threads.
///
/// # Panics
/// Outside of a tokio runtime, as tokio's own does.
#[track_caller]
pub fn spawn_blocking<F, R>(function: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    runtimes::notice();
    task::spawn_blocking(blocking(Location::caller(), function))
}

fn blocking<R>(spawned_at: &'static Location<'static>, function: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let registered = Registered::new(readable_type(std::any::type_name_of_val(&function)), spawned_at);
    move || {
        let (_inside, tid) = current::enter(registered.place);
        registered.entry.begin(tid);
        function()
    }
}

/// tokio's `JoinSet`, whose tasks are tracked. Everything but starting a task is tokio's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut set = gmr_runtime::task::tokio::JoinSet::new();
/// set.spawn(async { 17 });
/// assert_eq!(set.join_next().await.unwrap().unwrap(), 17);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct JoinSet<T>(task::JoinSet<T>);

impl<T: 'static> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self(task::JoinSet::new())
    }

    /// `JoinSet::spawn`, tracked.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as tokio's own does.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        runtimes::notice();
        self.0.spawn(named(readable_type(std::any::type_name::<F>()), future))
    }

    /// `JoinSet::spawn_on`, tracked.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        runtimes::watch(handle);
        self.0.spawn_on(named(readable_type(std::any::type_name::<F>()), future), handle)
    }

    /// `JoinSet::spawn_local`, tracked.
    ///
    /// # Panics
    /// Outside of a `LocalSet`, as tokio's own does.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        runtimes::notice();
        self.0.spawn_local(named(readable_type(std::any::type_name::<F>()), future))
    }

    /// `JoinSet::spawn_blocking`, tracked.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as tokio's own does.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, function: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        runtimes::notice();
        self.0.spawn_blocking(blocking(Location::caller(), function))
    }
}

impl<T> Deref for JoinSet<T> {
    type Target = task::JoinSet<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for JoinSet<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

pub use runtimes::watch as watch_runtime;
