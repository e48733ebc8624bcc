//! Green Threads: every tracked task, its state, and where it waits. Tasks are polled in `task`,
//! not here.

use crate::sys::hash::{NumberMap, address};
use crate::sys::sort;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::task_spans::TaskSpans;
use super::task_stacks::TaskStacks;
use crate::capture::{self, Trace};
use crate::model::{Content, GreenThreads, Label, Runtime, Stack, Task, TaskState};
use crate::section::output::Output;
use crate::section::panics;
use crate::sys::sorted_map::SortedMap;
use crate::sys::{self, Modules};
use crate::task::tracked::shown_name;
use crate::task::{self, Condition, Entry, LeftOut, Panicked, Poll, Survey};
use crate::threads::{self, ThreadInfo};

/// The most threads whose stacks are taken because they are inside a task's poll. On a runtime,
/// these are its workers.
const MOST_POLLED: usize = 16;

/// How long the report waits until all tasks have been polled once.
const TIMEOUT: Duration = Duration::from_millis(500);

/// How long a poll takes, at least, for the workers that are stuck to be counted. `findings` takes
/// no notice of shorter ones.
const LONG: Duration = Duration::from_millis(100);

pub(super) fn generate() -> Output {
    if task::has_tasks() {
        // Waking them runs code of the program's, and the program may have set a hook of its own.
        panics::install_hook();
    }
    let mut survey = task::survey(TIMEOUT);
    // Otherwise in the order in which they were started.
    if let Some(place) = survey.tasks.iter().position(|task| Some(task.id) == task::first()) {
        survey.tasks[..=place].rotate_right(1);
    }
    let runtimes = runtimes(survey.tasks.iter().any(|task| !task.is_blocking() && task.is_inside_for(LONG)));
    describe(&survey, runtimes)
}

/// The runtimes with their numbers. `None` if they can't be read.
#[cfg(feature = "tokio")]
fn runtimes(count_stuck: bool) -> Option<Vec<(u8, Runtime)>> {
    task::metrics::all(count_stuck)
}

#[cfg(not(feature = "tokio"))]
fn runtimes(_: bool) -> Option<Vec<(u8, Runtime)>> {
    Some(Vec::new())
}

/// The number of the runtime whose workers poll the task, if it is known.
#[cfg(feature = "tokio")]
fn runtime_of_workers(task: &Entry) -> Option<u8> {
    task::metrics::runtime_of_workers(task)
}

#[cfg(not(feature = "tokio"))]
fn runtime_of_workers(_: &Entry) -> Option<u8> {
    None
}

fn describe(survey: &Survey, runtimes: Option<Vec<(u8, Runtime)>>) -> Output {
    let mut notes = Vec::new();
    let (numbers, runtimes): (Vec<u8>, Vec<Runtime>) = runtimes
        .unwrap_or_else(|| {
            notes.push("tokio's runtimes are missing: a thread was stopped while it added one".to_owned());
            Vec::new()
        })
        .into_iter()
        .unzip();
    if survey.unread > 0 {
        notes.push("some tasks are missing: a thread was stopped while it started or ended one".to_owned());
    }
    notes.extend(survey.panicked.as_ref().map(about_panics));
    // All figures of a task are of one moment: resolving symbols can take seconds.
    let now = SystemTime::now();
    let live: Vec<_> = survey
        .tasks
        .iter()
        .filter(|task| !task.has_ended())
        .filter_map(|task| Some((task, task.polls(), task.snapshot(survey.trace)?)))
        .collect();
    // Afterwards, so that a span seems to have been left earlier, and rather none is shown.
    let spans = TaskSpans::read();
    let waiting = live.iter().filter_map(|(_, _, (condition, _))| condition.branches());
    let polled = polled(live.iter().map(|(task, _, (condition, _))| (&***task, condition)), &survey.modules);
    let (mut stacks, stack_notes) = TaskStacks::new(waiting, polled.values().iter(), &survey.modules);
    notes.extend(stack_notes);
    let mut reasons = Reasons::default();
    let mut interner = Interner::default();
    let tasks = live
        .iter()
        .map(|(task, polls, (condition, labels))| Task {
            id: task.id,
            name: interner
                .text(address(task.name), task.is_blocking(), || shown_name(task.name, task.is_blocking())),
            spawned_at: interner.text(address(task.spawned_at), false, || task.spawned_at.to_string()),
            age_ms: millis(now.duration_since(task.spawned).unwrap_or_default()),
            polls: *polls,
            labels: labels.iter().map(|(key, value)| label(key, value)).collect(),
            blocking: task.is_blocking(),
            runtime: runtime_of_workers(task)
                .and_then(|number| numbers.iter().position(|other| *other == number)),
            wakers: match condition {
                Condition::Waiting { since, .. } => task.wakers(survey.trace, *since),
                _ => None,
            },
            span: match condition {
                Condition::Polling { .. } => spans.of_polled(task.id),
                Condition::Waiting { since, .. } | Condition::Woken { waiting: since, .. } => {
                    spans.of_waiting(task.id, *since)
                }
                Condition::New => None,
            },
            state: state(condition),
            stacks: match condition {
                Condition::Waiting { branches: Some(branches), .. } if branches.is_empty() => {
                    reasons.get(NO_WAKER)
                }
                Condition::Waiting { branches: Some(branches), .. } => stacks.get(branches),
                Condition::Waiting { .. } if task.missed(survey.trace) => reasons.get(NO_ROOM),
                Condition::Waiting { .. } => {
                    reasons.get(task.left_out(survey.trace).map_or(NOT_POLLED, why_left_out))
                }
                Condition::Woken { .. } => {
                    task.left_out(survey.trace).map(|why| reasons.get(why_left_out(why))).unwrap_or_default()
                }
                Condition::Polling { .. } => {
                    polled.get(task.id).map(|trace| stacks.of_polled(trace)).unwrap_or_default()
                }
                Condition::New => Arc::default(),
            },
        })
        .collect();
    let content =
        Content::GreenThreads(GreenThreads { tasks, runtimes, uncounted_runtimes: Vec::new(), notes });
    Output { content, frames: stacks.frames }
}

/// A report wakes all tasks at once, which some executors do not expect.
fn about_panics(Panicked { count, first }: &Panicked) -> String {
    let wakers = if *count == 1 { "a waker".to_owned() } else { format!("{count} wakers") };
    format!("{wakers} panicked when tasks were woken for this report: {}", gmr_mask::text(first))
}

/// The stacks of threads that are inside a task's poll, by the task's id: of those that were inside
/// the same poll before and after their stacks were taken.
fn polled<'a>(
    tasks: impl Iterator<Item = (&'a Entry, &'a Condition)>,
    modules: &Modules,
) -> NumberMap<Arc<Trace>> {
    let polls: Vec<(&Entry, Poll)> = tasks
        .filter_map(|(task, condition)| match condition {
            Condition::Polling { poll, .. } => Some((task, *poll)),
            _ => None,
        })
        .take(MOST_POLLED)
        .collect();
    if polls.is_empty() {
        return NumberMap::default();
    }
    let mut tids: Vec<u32> = polls.iter().map(|(_, poll)| task::id_here(poll.tid)).collect();
    sort::all(&mut tids);
    tids.dedup();
    let signal = capture::signal();
    // All threads first: a signalled thread shows up as running.
    let traces: Vec<Arc<Trace>> = sys::with_files(|| {
        let threads: Vec<ThreadInfo> = tids.iter().map(|tid| threads::info(*tid, signal)).collect();
        threads.iter().map(|thread| Arc::new(capture::trace(thread, modules))).collect()
    });
    let trace = |tid: u32| tids.binary_search(&tid).ok().map(|index| Arc::clone(&traces[index]));
    let inside = polls.into_iter().filter(|(task, poll)| task.is_in(*poll));
    inside.filter_map(|(task, poll)| Some((task.id, trace(task::id_here(poll.tid))?))).collect()
}

/// The label, its value masked as if it were a field of a section.
fn label(key: &str, value: &str) -> Label {
    Label { key: key.to_owned(), value: gmr_mask::field(key, value) }
}

fn state(condition: &Condition) -> TaskState {
    match condition {
        Condition::Polling { poll: Poll { tid, .. }, since } => {
            let tid = task::id_here(*tid);
            let thread = Some(threads::info(tid, None).name).filter(|name| !name.is_empty());
            TaskState::Polling { tid, thread, polling_ms: millis(*since) }
        }
        Condition::Woken { since, waiting } => {
            TaskState::Woken { woken_ms: millis(*since), waiting_ms: millis(*waiting) }
        }
        Condition::Waiting { since, .. } => TaskState::Waiting { waiting_ms: millis(*since) },
        Condition::New => TaskState::New,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Texts that many tasks have in common, by the address of the original and the form of it that is
/// shown.
#[derive(Default)]
struct Interner(NumberMap<Arc<str>>);

impl Interner {
    fn text(&mut self, address: u64, form: bool, text: impl FnOnce() -> String) -> Arc<str> {
        // No address of a program's has the highest bit.
        Arc::clone(self.0.entry(address << 1 | u64::from(form), || text().into()))
    }
}

const NO_WAKER: &str = "in the task's last poll, no future kept a waker, as with `future::pending`";
const NO_ROOM: &str = "too many tasks wait at different places: there was no room for a copy of its stack";
const NOT_POLLED: &str = "not polled in time for this report";

fn why_left_out(why: LeftOut) -> &'static str {
    match why {
        LeftOut::NoWaker => NO_WAKER,
        LeftOut::ForeignWaker => {
            "reports do not poll it: its executor, such as embassy's, may accept no wakers but its own"
        }
        LeftOut::IgnoresWakes => {
            "not polled in time for this report, which could not wake it: its executor's waker does nothing, \
             as `Waker::noop()`"
        }
        LeftOut::WakerBlocks => {
            "it was not woken for this report: in an earlier one, waking a task of its executor blocked, and \
             has not returned"
        }
        LeftOut::WakerPanicked => "it was not polled for this report: waking it panicked",
        LeftOut::NoThread => "it was not woken for this report: no thread could be started to do so",
        LeftOut::TaskOptedOut => "reports do not poll it: `poll = false`",
        LeftOut::AllOptedOut => "reports do not poll tasks: `poll_tasks = false`, or GMR_POLL_TASKS",
        LeftOut::Filtered => {
            "it is not polled for a report: a seccomp filter of the program's threads, which gmr's threads \
             do not have, may not allow the system calls of such a poll"
        }
    }
}

/// The reasons why tasks have no stack, each as one list of stacks that these tasks share.
#[derive(Default)]
struct Reasons(SortedMap<&'static str, Arc<[Stack]>>);

impl Reasons {
    fn get(&mut self, reason: &'static str) -> Arc<[Stack]> {
        let stacks = self.0.entry(reason);
        if stacks.is_empty() {
            *stacks = [Stack::missing(reason)].into();
        }
        Arc::clone(stacks)
    }
}
