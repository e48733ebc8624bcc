//! The future that keeps its task's entry up to date. It changes nothing about how the future
//! inside is polled, woken or dropped.

use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::branch::Branch;
#[cfg(feature = "tokio")]
use super::counts::{Number, UNKNOWN, uncounted};
use super::current;
use super::entry::Entry;
use super::kinds;
use super::registered::{Registered, TASKS};
#[cfg(feature = "tokio")]
use super::runtimes;
use super::trace::{self, Collector};
#[cfg(feature = "tokio")]
use super::waker::is_of_tokios_task;
use super::waker::{Capture, Kept, Kind, Passing, Take, cloned, is_capturing, is_lent, may_own_its_task};
use crate::capture::OwnStack;

pin_project! {
    /// A future that reports show as a task until it completes or is dropped. Created by [`track`]
    /// and [`TrackExt`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct Tracked<F> {
        #[pin]
        future: F,
        state: State,
    }
}

/// What is known of the task, for which no type of a future matters: a program has the code that
/// uses it once, and not for each of its futures.
#[derive(Debug)]
struct State {
    /// None once it has completed, and where tasks cannot be registered.
    task: Option<Registered>,
    /// The runtime's waker, as data and table, when it last changed.
    waker: (usize, usize),
    /// What the future gets in place of that waker, if the waker may own its task. It is made again
    /// if no future has kept it.
    passing: Option<Weak<Passing>>,
}

/// Polls the future inside, and returns whether it has completed.
type PollInside<'a> = dyn FnMut(&mut Context<'_>) -> bool + 'a;

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
    named(type_of_future(std::any::type_name::<F>()), future)
}

/// The expansion of `#[gmr::task]` calls this with an async block that has the function's body.
#[track_caller]
pub fn track_body<F: Future>(body: F) -> Tracked<F> {
    named(readable_type(std::any::type_name::<F>()), body)
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
    current::notice_forks();
    let task = Registered::new(name, Location::caller());
    Tracked { future, state: State { task, waker: (0, 0), passing: None } }
}

/// The expansions of `#[gmr::main]` and of gmr-tokio's `#[tokio::main]` call this. Each recognizes
/// the other's call by the name, so that there is one task `main`.
#[track_caller]
pub fn __gmr_tracked_main<F: Future>(future: F) -> Tracked<F> {
    named("main", future)
}

impl<F> Tracked<F> {
    /// Notes that the task is spawned on the runtime with this number.
    #[cfg(feature = "tokio")]
    pub(super) fn on(self, runtime: Number) -> Self {
        if let Some(Registered { entry, .. }) = &self.state.task {
            entry.set_runtime(runtime);
        }
        self
    }

    /// Labels the task from outside, as [`label`](super::label) does from inside.
    ///
    /// ```
    /// use gmr_runtime::task::TrackExt;
    ///
    /// let task = async { 17 }.tracked().labelled("order", "4711");
    /// # drop(task);
    /// ```
    pub fn labelled(self, key: &'static str, value: impl std::fmt::Display) -> Self {
        if let Some(Registered { entry, .. }) = &self.state.task {
            entry.label(key, value.to_string());
        }
        self
    }

    /// Whether a report may poll the task. By default, it may.
    ///
    /// For a report, every waiting task is woken and polled once more than it asked for, to see
    /// where it waits. With `false`, the report shows the task and what is known about it, but no
    /// stack. That also holds for tracked tasks that are polled inside this one, and for those that
    /// this one is polled inside of.
    ///
    /// `Builder::poll_tasks` switches polls off for the whole program.
    ///
    /// ```
    /// use gmr_runtime::task::TrackExt;
    ///
    /// let task = async { 17 }.tracked().poll_for_reports(false);
    /// # drop(task);
    /// ```
    pub fn poll_for_reports(self, poll: bool) -> Self {
        if let Some(Registered { entry, .. }) = &self.state.task
            && !poll
        {
            entry.opt_out();
        }
        self
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let mut result = Poll::Pending;
        // The only place where the future is polled: its code is often inlined here.
        this.state.poll(context, &mut |context| {
            result = this.future.as_mut().poll(context);
            result.is_ready()
        });
        result
    }
}

impl State {
    fn poll(&mut self, context: &mut Context<'_>, poll: &mut PollInside<'_>) {
        // If it is polled after completion, what happens is up to the future inside.
        let Some(Registered { entry, place }) = &self.task else {
            poll(context);
            return;
        };
        let waker = context.waker();
        let same = (waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr());
        // A capturing waker is an outer task's, and valid for this poll only.
        let is_capturing = is_capturing(waker);
        if self.waker != same && !is_capturing {
            self.passing = meet(entry, waker);
            self.waker = same;
        }
        let passing = self.passing.as_mut().filter(|_| !is_capturing);
        let passing = passing.and_then(|passing| lend(passing, entry, waker));
        let waker = passing.as_ref().unwrap_or(waker);
        let (inside, tid) = current::enter(*place);
        let polling = Polling { entry, waiting_since: entry.begin(tid, inside.is_for_trace()) };
        let for_trace = polling.waiting_since.is_some();
        if for_trace {
            current::set_for_trace();
        }
        let may_replace = || !entry.is_lent() && trace::may_replace(waker);
        let takes_part =
            |collector: &Collector| may_replace() && !entry.has_opted_out() && entry.claim(collector.trace());
        let is_ready = match trace::current() {
            Some(collector) if takes_part(&collector) => {
                let Traced { is_ready, branches, woken } = traced(poll, waker, &*collector);
                if for_trace && woken {
                    entry.expect_poll();
                }
                match branches {
                    _ if is_ready => {}
                    Some(branches) => entry.record(collector.trace(), branches.into(), woken),
                    None => {
                        entry.miss(collector.trace());
                        collector.note_missed();
                    }
                }
                is_ready
            }
            _ if for_trace && may_replace() => {
                let Traced { is_ready, woken, .. } = traced(poll, waker, &Nothing);
                if woken {
                    entry.expect_poll();
                }
                is_ready
            }
            _ if passing.is_some() => poll(&mut Context::from_waker(waker)),
            _ => poll(context),
        };
        drop(polling);
        drop(inside);
        if is_ready {
            kinds::completed(entry);
            self.task = None;
        }
    }
}

/// Keeps a runtime's waker that the task has not been polled with before. If that waker may own the
/// task, returns an empty reference: the waker to give in its place has yet to be made.
#[cold]
fn meet(entry: &Entry, waker: &Waker) -> Option<Weak<Passing>> {
    #[cfg(feature = "tokio")]
    note_runtime(entry, waker);
    inherit(entry);
    let Some(clone) = cloned(waker) else {
        entry.set_lent(true);
        return None;
    };
    let is_lent = is_lent(waker, &clone);
    if is_lent || entry.is_lent() {
        entry.set_lent(is_lent);
    }
    if is_lent {
        return None;
    }
    if let Some(outers) = Passing::find(waker) {
        entry.keep_waker(outers);
    } else if may_own_its_task(waker) {
        return Some(Weak::new());
    } else {
        entry.keep_waker(Kept::own(clone));
    }
    None
}

/// Notes the runtime that the task is on. That counts it if tokio itself has spawned the task: the
/// waker is that of one of its tasks, and this future is not inside another tracked one.
#[cfg(feature = "tokio")]
fn note_runtime(entry: &Entry, waker: &Waker) {
    if entry.runtime() != UNKNOWN {
        return;
    }
    let number = runtimes::notice();
    let is_counted = current::task().is_none() && is_of_tokios_task(waker);
    if number != UNKNOWN {
        entry.set_runtime(if is_counted { number } else { uncounted(number) });
    }
}

/// The waker for the next poll. It is the same as in the last one if a future has kept that. `None`
/// if the runtime's can't be cloned.
fn lend(passing: &mut Weak<Passing>, entry: &Entry, waker: &Waker) -> Option<Waker> {
    if let Some(kept) = passing.upgrade() {
        return Some(Passing::waker(kept));
    }
    let new = Passing::new(cloned(waker)?);
    *passing = Arc::downgrade(&new);
    entry.keep_waker(Kept::Passing(passing.clone(), Kind::of(waker)));
    Some(Passing::waker(new))
}

/// A task that reports may not poll is not polled inside another one either, and does not poll
/// others inside itself.
fn inherit(entry: &Entry) {
    let mut outer = current::task();
    if outer.is_some() {
        entry.set_outer(outer);
    }
    while let Some(task) = outer.and_then(|place| TASKS.find(place)) {
        if task.has_opted_out() {
            // And with it those around it.
            entry.opt_out();
            return;
        }
        if !entry.has_opted_out() {
            return;
        }
        task.opt_out();
        outer = task.outer();
    }
}

/// The end of the type name of a closure. The body of an `async fn`, and an async block, are such.
const CLOSURE: &str = "::{{closure}}";

/// The name of a future's type: `orders::checkout` for `orders::checkout::{{closure}}`, which is an
/// `async fn` or a block in a function that is not async. A block in an async function keeps one
/// [`CLOSURE`]; see [`shown_name`].
pub(super) fn type_of_future(name: &'static str) -> &'static str {
    let path = readable_type(name);
    let one = &name[..name.len().min(path.len() + CLOSURE.len())];
    if name.len() > one.len() { one } else { path }
}

/// The path of a function for the type of its body, or of a closure in it.
pub(super) fn readable_type(name: &'static str) -> &'static str {
    let mut name = name;
    while let Some(outer) = name.strip_suffix(CLOSURE) {
        name = outer;
    }
    name
}

/// The name of a task as its author would write it. One that blocks has the name of its closure's
/// type, or of its function.
pub(crate) fn shown_name(name: &str, blocks: bool) -> String {
    // A function within an async one is within a closure of it.
    let path = name.replace(CLOSURE, "");
    match (name.ends_with(CLOSURE), blocks) {
        (true, true) => format!("{{closure in {path}}}"),
        (true, false) => format!("{{async block in {path}}}"),
        (false, _) => path,
    }
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

/// A poll for a trace.
pub(super) struct Traced {
    pub(super) is_ready: bool,
    /// Where the future keeps a waker; `None` if not all stacks were taken.
    pub(super) branches: Option<Vec<Branch>>,
    /// Whether the future has woken its task.
    woken: bool,
}

/// Polls with a waker that takes the stack of each function that clones it. The branches are those
/// of the clones that are still kept at the end.
#[inline(never)]
pub(super) fn traced(poll: &mut PollInside<'_>, runtimes: &Waker, take: &dyn Take) -> Traced {
    let capture = Capture::new(runtimes, take);
    let is_ready = capture.with(|waker| poll(&mut Context::from_waker(waker)));
    let woken = capture.was_woken();
    Traced { is_ready, branches: capture.leaves(), woken }
}

/// Takes no stacks: for a poll after the one that took part in the trace.
struct Nothing;

impl Take for Nothing {
    fn take(&self, _: Result<OwnStack<'_>, &'static str>) -> Option<Branch> {
        None
    }
}
