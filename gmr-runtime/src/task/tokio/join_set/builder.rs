//! The builder of a `JoinSet`'s task, which is tracked.

use std::fmt;
use std::io;
use std::panic::Location;

use ::tokio::runtime::Handle;
use ::tokio::task::{AbortHandle, LocalSet, join_set};

use super::blocking;
use crate::task::counts::uncounted;
use crate::task::runtimes;
use crate::task::tokio::builder::labelled;

/// tokio's [`Builder`](join_set::Builder) of a `JoinSet`'s task, which is tracked. A report shows
/// the builder's name as the label `name`.
#[must_use = "builders do nothing unless used to spawn a task"]
pub struct Builder<'a, T> {
    builder: join_set::Builder<'a, T>,
    name: Option<&'a str>,
}

impl<'a, T: 'static> Builder<'a, T> {
    pub(super) fn new(builder: join_set::Builder<'a, T>) -> Self {
        Self { builder, name: None }
    }

    /// Sets the name of the task.
    pub fn name(self, name: &'a str) -> Self {
        Self { builder: self.builder.name(name), name: Some(name) }
    }

    /// Spawns the future as a tracked task on the current runtime.
    ///
    /// # Errors
    /// Those of tokio's own.
    ///
    /// # Panics
    /// If called outside a tokio runtime, like tokio's own.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.spawn_on(future, &Handle::current())
    }

    /// Spawns the future as a tracked task on this runtime.
    ///
    /// # Errors
    /// Those of tokio's own.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let future = labelled(self.name, future).on(runtimes::number(handle));
        self.builder.spawn_on(future, handle)
    }

    /// Runs the closure as a tracked task on the current runtime's blocking threads.
    ///
    /// # Errors
    /// Those of tokio's own.
    ///
    /// # Panics
    /// If called outside a tokio runtime, like tokio's own.
    #[track_caller]
    pub fn spawn_blocking<F>(self, f: F) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let runtime = runtimes::notice();
        self.builder.spawn_blocking(blocking::labelled(Location::caller(), runtime, self.name, f))
    }

    /// Runs the closure as a tracked task on this runtime's blocking threads.
    ///
    /// # Errors
    /// Those of tokio's own.
    #[track_caller]
    pub fn spawn_blocking_on<F>(self, f: F, handle: &Handle) -> io::Result<AbortHandle>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let runtime = runtimes::number(handle);
        let closure = blocking::labelled(Location::caller(), runtime, self.name, f);
        self.builder.spawn_blocking_on(closure, handle)
    }

    /// Spawns the future as a tracked task on the current `LocalSet`.
    ///
    /// # Errors
    /// Those of tokio's own.
    ///
    /// # Panics
    /// If called outside a `LocalSet`, like tokio's own.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        let future = labelled(self.name, future).on(runtimes::number_of_local());
        self.builder.spawn_local(future)
    }

    /// Spawns the future as a tracked task on this `LocalSet`.
    ///
    /// # Errors
    /// Those of tokio's own.
    #[track_caller]
    pub fn spawn_local_on<F>(self, future: F, local_set: &LocalSet) -> io::Result<AbortHandle>
    where
        F: Future<Output = T> + 'static,
    {
        let future = labelled(self.name, future).on(uncounted(runtimes::notice()));
        self.builder.spawn_local_on(future, local_set)
    }
}

impl<T> fmt::Debug for Builder<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.builder.fmt(formatter)
    }
}
