//! tokio's `LocalSet`, whose tasks are tracked.

#[cfg(all(test, not(gmr_loom)))]
mod tests;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::tokio::runtime::{Id, Runtime};
use ::tokio::task::{self, JoinHandle, LocalEnterGuard};

use crate::task::counts::uncounted;
use crate::task::runtimes;
use crate::task::tracked::track;

/// tokio's [`LocalSet`](task::LocalSet), whose tasks are tracked.
///
/// [`spawn_local`](Self::spawn_local) tracks the task that it starts. The other methods are tokio's
/// own under the same names; the future that [`run_until`](Self::run_until) or
/// [`block_on`](Self::block_on) runs is yours to track.
///
/// Dereferences to tokio's type, for functions that take a reference to it. To those that take the
/// set itself, pass `set.into()`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let local = gmr_runtime::task::tokio::LocalSet::new();
/// let task = local.spawn_local(async { 17 });
/// local.await;
/// assert_eq!(task.await.unwrap(), 17);
/// # }
/// ```
pub struct LocalSet(task::LocalSet);

impl LocalSet {
    /// Creates an empty set.
    pub fn new() -> LocalSet {
        Self(task::LocalSet::new())
    }

    /// Enters the set's context: until the guard is dropped, [`spawn_local`](super::spawn_local)
    /// spawns on this set.
    pub fn enter(&self) -> LocalEnterGuard {
        self.0.enter()
    }

    /// Spawns the future as a tracked task on this set. It starts when the set next runs.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.0.spawn_local(track(future).on(uncounted(runtimes::notice())))
    }

    /// Runs the future to completion on this runtime, and the set's tasks meanwhile.
    ///
    /// # Panics
    /// If called within a runtime, like tokio's own.
    #[track_caller]
    pub fn block_on<F>(&self, rt: &Runtime, future: F) -> F::Output
    where
        F: Future,
    {
        self.0.block_on(rt, future)
    }

    /// Runs the future to completion, and the set's tasks meanwhile.
    pub async fn run_until<F>(&self, future: F) -> F::Output
    where
        F: Future,
    {
        self.0.run_until(future).await
    }

    /// The id of the set.
    pub fn id(&self) -> Id {
        self.0.id()
    }

    /// What happens when a task of the set panics.
    #[cfg(tokio_unstable)]
    pub fn unhandled_panic(&mut self, behavior: ::tokio::runtime::UnhandledPanic) -> &mut Self {
        self.0.unhandled_panic(behavior);
        self
    }
}

/// Completes when all tasks of the set have.
impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.get_mut().0).poll(context)
    }
}

impl Default for LocalSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Deref for LocalSet {
    type Target = task::LocalSet;

    fn deref(&self) -> &task::LocalSet {
        &self.0
    }
}

impl DerefMut for LocalSet {
    fn deref_mut(&mut self) -> &mut task::LocalSet {
        &mut self.0
    }
}

impl From<task::LocalSet> for LocalSet {
    fn from(set: task::LocalSet) -> Self {
        Self(set)
    }
}

impl From<LocalSet> for task::LocalSet {
    fn from(set: LocalSet) -> Self {
        set.0
    }
}
