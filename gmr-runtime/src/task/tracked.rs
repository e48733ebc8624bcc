//! The future that keeps account of itself.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::branch::Branch;
use super::current;
use super::entry::Entry;
use super::registered::Registered;
use super::trace;
use super::waker::{Capture, is_capturing};

pin_project! {
    /// A future that reports show as a task for as long as it exists and is not complete. Made by [`track`] and [`TrackExt`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Tracked<F> {
        #[pin]
        future: F,
        // None once it is complete.
        task: Option<Registered>,
        // Which waker the task has, as data and table: to see at a glance, without a lock, that it is still the same.
        waker: (usize, usize),
    }
}

/// Tracks a future as a task of its own, named after its type. See [`TrackExt`] for other names.
///
/// Works on any runtime. Outside of a report, a poll of it takes some nanoseconds longer than one of the bare future (`docs/benchmarks.md`).
///
/// ```
/// async fn checkout(order: u64) -> u64 {
///     order + 1
/// }
///
/// let task = gmr_runtime::task::track(checkout(7)); // "checkout", spawned at this line
/// # drop(task);
/// ```
#[track_caller]
pub fn track<F: Future>(future: F) -> Tracked<F> {
    named(readable_type(std::any::type_name::<F>()), future)
}

/// [`track`] as a method.
pub trait TrackExt: Future + Sized {
    /// Tracks it as a task, named after its type.
    #[track_caller]
    fn tracked(self) -> Tracked<Self> {
        track(self)
    }

    /// Tracks it as a task of this name.
    ///
    /// ```
    /// use gmr_runtime::task::TrackExt;
    ///
    /// let task = async { 17 }.tracked_as("mailer");
    /// # drop(task);
    /// ```
    #[track_caller]
    fn tracked_as(self, name: &'static str) -> Tracked<Self> {
        named(name, self)
    }
}

impl<F: Future> TrackExt for F {}

/// What the attribute on an `async fn` expands to.
#[track_caller]
pub fn named<F: Future>(name: &'static str, future: F) -> Tracked<F> {
    Tracked { future, task: Some(Registered::new(name, Location::caller())), waker: (0, 0) }
}

impl<F> Tracked<F> {
    /// Labels the task, as [`label`](super::label) does from inside of it.
    ///
    /// ```
    /// use gmr_runtime::task::TrackExt;
    ///
    /// let task = async { 17 }.tracked().labelled("order", "4711");
    /// # drop(task);
    /// ```
    pub fn labelled(self, key: &'static str, value: impl std::fmt::Display) -> Self {
        if let Some(Registered { entry, .. }) = &self.task {
            entry.label(key, value.to_string());
        }
        self
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Whoever polls a complete future learns it from that future.
        let Some(Registered { entry, place }) = this.task else { return this.future.poll(context) };
        let waker = context.waker();
        let same = (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr());
        // One that takes stacks is that of an outer task, for one poll.
        if *this.waker != same && !is_capturing::<Branch>(waker) {
            entry.keep(waker.clone());
            *this.waker = same;
        }
        let (inside, tid) = current::enter(*place);
        let polling = Polling { entry, asked: entry.begin(tid) };
        let result = match trace::wanted() {
            Some(wanted) if entry.claim(wanted) => {
                let (result, branches) = traced(this.future, waker);
                if result.is_pending() {
                    entry.found(wanted, branches.into());
                }
                result
            }
            _ => this.future.poll(context),
        };
        drop(polling);
        drop(inside);
        if result.is_ready() {
            *this.task = None;
        }
        result
    }
}

/// The name of a future's type, as its author would write it: `orders::checkout` for `orders::checkout::{{closure}}`.
pub(super) fn readable_type(name: &'static str) -> &'static str {
    let mut name = name;
    while let Some(outer) = name.strip_suffix("::{{closure}}") {
        name = outer;
    }
    name
}

/// Ends the poll in the account, also where it ends by a panic.
struct Polling<'a> {
    entry: &'a Entry,
    /// What the begin of the poll has told.
    asked: Option<u64>,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.entry.end(self.asked);
    }
}

/// Polls with a waker that takes the stacks of those that are about to wait.
#[inline(never)]
fn traced<F: Future>(future: Pin<&mut F>, runtimes: &Waker) -> (Poll<F::Output>, Vec<Branch>) {
    let capture = Capture::new(runtimes, trace::take);
    let result = capture.with(|waker| future.poll(&mut Context::from_waker(waker)));
    (result, capture.branches())
}
