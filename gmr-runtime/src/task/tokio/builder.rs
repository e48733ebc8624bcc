//! tokio's `task::Builder`, whose tasks are tracked. Like it, it needs `--cfg tokio_unstable` and
//! tokio's feature `tracing`.

use std::io;
use std::panic::Location;

use ::tokio::runtime::Handle;
use ::tokio::task::{self, JoinHandle, LocalSet};

use super::blocking;
use crate::task::counts::uncounted;
use crate::task::runtimes;
use crate::task::tracked::{Tracked, track};

/// tokio's [`Builder`](task::Builder), whose tasks are tracked. A report shows the builder's name
/// as the label `name`.
#[derive(Default, Debug)]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

/// The future, tracked, with the builder's name as a label.
#[track_caller]
pub(super) fn labelled<F: Future>(name: Option<&str>, future: F) -> Tracked<F> {
    let tracked = track(future);
    match name {
        Some(name) => tracked.labelled("name", name),
        None => tracked,
    }
}

impl<'a> Builder<'a> {
    /// Creates a builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name of the task.
    pub fn name(&self, name: &'a str) -> Self {
        Self { name: Some(name) }
    }

    fn tokios(&self) -> task::Builder<'a> {
        let builder = task::Builder::new();
        self.name.map_or_else(task::Builder::new, |name| builder.name(name))
    }

    /// Spawns the future as a tracked task on the current runtime.
    ///
    /// # Errors
    /// Those of tokio's own.
    ///
    /// # Panics
    /// If called outside a tokio runtime, like tokio's own.
    #[track_caller]
    pub fn spawn<Fut>(self, future: Fut) -> io::Result<JoinHandle<Fut::Output>>
    where
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        self.spawn_on(future, &Handle::current())
    }

    /// Spawns the future as a tracked task on this runtime.
    ///
    /// # Errors
    /// Those of tokio's own.
    #[track_caller]
    pub fn spawn_on<Fut>(self, future: Fut, handle: &Handle) -> io::Result<JoinHandle<Fut::Output>>
    where
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        let future = labelled(self.name, future).on(runtimes::number(handle));
        self.tokios().spawn_on(future, handle)
    }

    /// Spawns the future as a tracked task on the current `LocalSet`.
    ///
    /// # Errors
    /// Those of tokio's own.
    ///
    /// # Panics
    /// If called outside a `LocalSet`, like tokio's own.
    #[track_caller]
    pub fn spawn_local<Fut>(self, future: Fut) -> io::Result<JoinHandle<Fut::Output>>
    where
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        let future = labelled(self.name, future).on(runtimes::number_of_local());
        self.tokios().spawn_local(future)
    }

    /// Spawns the future as a tracked task on this `LocalSet`.
    ///
    /// # Errors
    /// Those of tokio's own.
    #[track_caller]
    pub fn spawn_local_on<Fut>(self, future: Fut, local_set: &LocalSet) -> io::Result<JoinHandle<Fut::Output>>
    where
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        let future = labelled(self.name, future).on(uncounted(runtimes::notice()));
        self.tokios().spawn_local_on(future, local_set)
    }

    /// Runs the function as a tracked task on the current runtime's blocking threads.
    ///
    /// # Errors
    /// Those of tokio's own.
    ///
    /// # Panics
    /// If called outside a tokio runtime, like tokio's own.
    #[track_caller]
    pub fn spawn_blocking<Function, Output>(self, function: Function) -> io::Result<JoinHandle<Output>>
    where
        Function: FnOnce() -> Output + Send + 'static,
        Output: Send + 'static,
    {
        let function = blocking::labelled(Location::caller(), runtimes::notice(), self.name, function);
        self.tokios().spawn_blocking(function)
    }

    /// Runs the function as a tracked task on this runtime's blocking threads.
    ///
    /// # Errors
    /// Those of tokio's own.
    #[track_caller]
    pub fn spawn_blocking_on<Function, Output>(
        self,
        function: Function,
        handle: &Handle,
    ) -> io::Result<JoinHandle<Output>>
    where
        Function: FnOnce() -> Output + Send + 'static,
        Output: Send + 'static,
    {
        let runtime = runtimes::number(handle);
        let function = blocking::labelled(Location::caller(), runtime, self.name, function);
        self.tokios().spawn_blocking_on(function, handle)
    }
}
