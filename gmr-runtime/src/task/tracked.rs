//! The future that keeps its task's entry up to date. It changes nothing about how the future
//! inside is polled, woken or dropped.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::branch::Branch;
use super::current;
use super::entry::Entry;
use super::registered::Registered;
use super::trace::{self, Collector};
use super::waker::{Capture, is_capturing};

pin_project! {
    /// A future that reports show as a task until it completes or is dropped. Created by [`track`]
    /// and [`TrackExt`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Tracked<F> {
        #[pin]
        future: F,
        // None once it has completed.
        task: Option<Registered>,
        // The waker that the entry has, as data and table: comparing them takes no lock.
        waker: (usize, usize),
    }
}

/// Tracks a future as a task of its own, named after its type. [`TrackExt::tracked_as`] sets
/// another name.
///
/// Works on any runtime. Between reports, each poll costs some nanoseconds more than a poll of the
/// bare future (`docs/benchmarks.md`).
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

/// [`track`] as a method of every future.
pub trait TrackExt: Future + Sized {
    /// Tracks the future as a task named after its type.
    #[track_caller]
    fn tracked(self) -> Tracked<Self> {
        track(self)
    }

    /// Tracks the future as a task with this name.
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

/// The expansion of `#[gmr::task]` calls this.
#[track_caller]
pub fn named<F: Future>(name: &'static str, future: F) -> Tracked<F> {
    Tracked { future, task: Some(Registered::new(name, Location::caller())), waker: (0, 0) }
}

impl<F> Tracked<F> {
    /// Labels the task from outside, as [`label`](super::label) does from inside.
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
        // Polled after completion: what happens is up to the future inside.
        let Some(Registered { entry, place }) = this.task else { return this.future.poll(context) };
        let waker = context.waker();
        let same = (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr());
        // A capturing waker is an outer task's, and valid for this poll only.
        if *this.waker != same && !is_capturing(waker) {
            entry.keep_waker(waker.clone());
            *this.waker = same;
        }
        let (inside, tid) = current::enter(*place);
        let polling = Polling { entry, waiting_since: entry.begin(tid) };
        let result = match trace::current() {
            Some(collector) if collector.may_replace(waker) && entry.claim(collector.trace()) => {
                let (result, branches) = traced(this.future, waker, &collector);
                match branches {
                    _ if result.is_ready() => {}
                    Some(branches) => entry.record(collector.trace(), branches.into()),
                    None => {
                        entry.miss(collector.trace());
                        collector.note_missed();
                    }
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

/// The name of a future's type as its author would write it: `orders::checkout` for
/// `orders::checkout::{{closure}}`.
pub(super) fn readable_type(name: &'static str) -> &'static str {
    let mut name = name;
    while let Some(outer) = name.strip_suffix("::{{closure}}") {
        name = outer;
    }
    name
}

/// Ends the poll in the entry when it is dropped, so also if the poll panics.
struct Polling<'a> {
    entry: &'a Entry,
    /// What [`Entry::begin`] returned.
    waiting_since: Option<u64>,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.entry.end(self.waiting_since);
    }
}

/// Polls with a waker that takes the stack of each function that clones it. The stacks are those of
/// the clones that are still kept at the end; `None` if not all of them were taken.
#[inline(never)]
pub(super) fn traced<F: Future>(
    future: Pin<&mut F>,
    runtimes: &Waker,
    collector: &Collector,
) -> (Poll<F::Output>, Option<Vec<Branch>>) {
    let capture = Capture::new(runtimes, collector);
    let result = capture.with(|waker| future.poll(&mut Context::from_waker(waker)));
    (result, capture.leaves())
}
