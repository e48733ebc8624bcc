//! tokio's `JoinSet`, whose tasks are tracked.

#[cfg(all(test, not(gmr_loom)))]
mod tests;

#[cfg(all(tokio_unstable, feature = "__tokio_tracing"))]
mod builder;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::task::{Context, Poll};

use ::tokio::runtime::Handle;
use ::tokio::task::{self, AbortHandle, Id, JoinError, LocalSet};

use super::blocking;
use crate::task::counts::uncounted;
use crate::task::runtimes;
use crate::task::tracked::track;

#[cfg(all(tokio_unstable, feature = "__tokio_tracing"))]
pub use builder::Builder;

/// tokio's [`JoinSet`](task::JoinSet), whose tasks are tracked.
///
/// Every method that starts a task tracks it: [`spawn`](Self::spawn), [`spawn_on`](Self::spawn_on),
/// [`spawn_local`](Self::spawn_local), [`spawn_local_on`](Self::spawn_local_on),
/// [`spawn_blocking`](Self::spawn_blocking), [`spawn_blocking_on`](Self::spawn_blocking_on),
/// `collect` and `extend`. A report names such a task after its future's type and shows the line
/// that started it. The other methods are tokio's own under the same names; they track nothing.
///
/// Dereferences to tokio's type, for functions that take a reference to it. To those that take the
/// set itself, pass `set.into()`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut set = gmr_runtime::task::tokio::JoinSet::new();
/// for order in [3, 1, 2] {
///     set.spawn(async move { order });
/// }
/// let mut orders = set.join_all().await;
/// orders.sort();
/// assert_eq!(orders, [1, 2, 3]);
/// # }
/// ```
pub struct JoinSet<T>(task::JoinSet<T>);

impl<T> JoinSet<T> {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self(task::JoinSet::new())
    }

    /// The number of tasks in the set, including completed ones that have not been joined.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set has no task.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: 'static> JoinSet<T> {
    /// Creates a builder, which sets the name of the task that it spawns in this set.
    #[cfg(all(tokio_unstable, feature = "__tokio_tracing"))]
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder::new(self.0.build_task())
    }

    /// Spawns the future as a tracked task on the current runtime.
    ///
    /// # Panics
    /// If called outside a tokio runtime, like tokio's own.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.spawn_on(task, &Handle::current())
    }

    /// Spawns the future as a tracked task on this runtime.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.0.spawn_on(track(task).on(runtimes::number(handle)), handle)
    }

    /// Spawns the future as a tracked task on the current `LocalSet`.
    ///
    /// # Panics
    /// If called outside a `LocalSet`, like tokio's own.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.0.spawn_local(track(task).on(runtimes::number_of_local()))
    }

    /// Spawns the future as a tracked task on this `LocalSet`. It starts when the `LocalSet` next
    /// runs.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, task: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.0.spawn_local_on(track(task).on(uncounted(runtimes::notice())), local_set)
    }

    /// Runs the closure as a tracked task on the current runtime's blocking threads.
    ///
    /// # Panics
    /// If called outside a tokio runtime, like tokio's own.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.spawn_blocking_on(f, &Handle::current())
    }

    /// Runs the closure as a tracked task on this runtime's blocking threads.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let runtime = runtimes::number(handle);
        self.0.spawn_blocking_on(blocking::tracked(Location::caller(), runtime, f), handle)
    }

    /// Waits until a task of the set completes and returns its output, or `None` if the set is
    /// empty.
    ///
    /// Cancel-safe: if another branch of a `select!` completes first, no task is removed from the
    /// set.
    ///
    /// # Errors
    /// The task panicked or was aborted.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.join_next().await
    }

    /// [`join_next`](Self::join_next) with the id of the task.
    ///
    /// # Errors
    /// The task panicked or was aborted. [`JoinError::id`] has its id.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.0.join_next_with_id().await
    }

    /// Returns the output of a task that has completed, or `None` if no task has.
    ///
    /// # Errors
    /// The task panicked or was aborted.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.try_join_next()
    }

    /// [`try_join_next`](Self::try_join_next) with the id of the task.
    ///
    /// # Errors
    /// The task panicked or was aborted. [`JoinError::id`] has its id.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.0.try_join_next_with_id()
    }

    /// Aborts all tasks and waits until they have shut down. The set is empty afterwards. Panics of
    /// the tasks are ignored.
    pub async fn shutdown(&mut self) {
        self.0.shutdown().await;
    }

    /// Waits until all tasks have completed, and returns their outputs in the order of completion.
    ///
    /// # Panics
    /// If a task panicked or was aborted; all remaining tasks are aborted.
    pub async fn join_all(self) -> Vec<T> {
        self.0.join_all().await
    }

    /// Aborts all tasks. They stay in the set until they are joined.
    pub fn abort_all(&mut self) {
        self.0.abort_all();
    }

    /// Removes all tasks from the set without aborting them. They keep running, tracked as before.
    pub fn detach_all(&mut self) {
        self.0.detach_all();
    }

    /// Polls for a task of the set to complete: [`join_next`](Self::join_next) by hand.
    ///
    /// `Poll::Ready(None)` means that the set is empty. May return `Poll::Pending` although a task
    /// has completed, if tokio's cooperative budget is used up; it then wakes the waker.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.0.poll_join_next(cx)
    }

    /// [`poll_join_next`](Self::poll_join_next) with the id of the task.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        self.0.poll_join_next_with_id(cx)
    }
}

// By hand: derived, these would ask more of `T` than tokio's do.

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T> Deref for JoinSet<T> {
    type Target = task::JoinSet<T>;

    fn deref(&self) -> &task::JoinSet<T> {
        &self.0
    }
}

impl<T> DerefMut for JoinSet<T> {
    fn deref_mut(&mut self) -> &mut task::JoinSet<T> {
        &mut self.0
    }
}

impl<T> From<task::JoinSet<T>> for JoinSet<T> {
    fn from(set: task::JoinSet<T>) -> Self {
        Self(set)
    }
}

impl<T> From<JoinSet<T>> for task::JoinSet<T> {
    fn from(set: JoinSet<T>) -> Self {
        set.0
    }
}

/// Spawns each future as [`JoinSet::spawn`] does.
///
/// `JoinSet::from_iter(..)` shows your line as the place where they were spawned; `collect()` shows
/// a line of the standard library, which calls this.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(iter: I) -> Self {
        let mut set = Self::new();
        set.extend(iter);
        set
    }
}

/// Spawns each future as [`JoinSet::spawn`] does.
impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, iter: I) {
        for task in iter {
            self.spawn(task);
        }
    }
}
