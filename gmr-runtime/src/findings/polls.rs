//! Polls that take long on the workers of runtimes: which thread is inside, whether it sleeps, and
//! where. What the rules about workers have in common; it finds nothing by itself.

use std::collections::BTreeSet;

use super::facts::{Facts, name};
use super::places;
use crate::model::{Certainty, Content, Evidence, Frame, Runtime, Task, TaskState, Thread, Waiting};

/// A poll should return within some 100 us. One that takes a thousand times that is looked at.
pub(super) const LONG_MS: u64 = 100;

/// Ten thousand times that: all that waits for the worker has noticed by then.
pub(super) const VERY_LONG_MS: u64 = 1_000;

/// The most long polls that are looked at. More workers than that rarely block at once, and the
/// second look is taken at a limited number of threads.
const MAX_POLLS: usize = 256;

/// A poll that has taken at least [`LONG_MS`], on a thread that runs tasks of a runtime.
#[derive(Clone, Copy)]
pub(super) struct LongPoll<'a> {
    pub(super) task: &'a Task,
    pub(super) tid: u32,
    pub(super) ms: u64,
    pub(super) thread: Option<&'a Thread>,
    /// The call in which the thread has slept from the first look to the second.
    pub(super) asleep: Option<&'a Waiting>,
    pub(super) certainty: Certainty,
}

impl LongPoll<'_> {
    /// `#7 (worker)`
    pub(super) fn thread_name(&self) -> String {
        self.thread.map_or_else(|| format!("#{}", self.tid), name)
    }

    /// Where the thread waits: `#7 (worker) waits in read (pipe:[4711])`.
    pub(super) fn evidence(&self, facts: &Facts<'_>) -> Option<Evidence> {
        Some(Evidence {
            message: format!("{} waits in {}", self.thread_name(), call(self.asleep?)),
            thread: Some(self.tid),
            task: Some(self.task.id),
            frame: frames_inside(self.task).and_then(|frames| places::of_program(frames, facts.frames)),
        })
    }
}

/// `read (pipe:[4711])`
pub(super) fn call(waiting: &Waiting) -> String {
    let about = waiting.target.as_ref().or(waiting.path.as_ref()).or(waiting.peer.as_ref());
    let about = about.map(|about| format!(" ({about})")).unwrap_or_default();
    format!("{}{about}", waiting.call)
}

/// The frames that are inside the task's poll, innermost first.
pub(super) fn frames_inside(task: &Task) -> Option<&[u32]> {
    task.stacks.first().map(|stack| &*stack.frames).filter(|frames| !frames.is_empty())
}

/// The threads whose second look tells whether they sleep inside a poll.
pub(super) fn suspects(facts: &Facts<'_>) -> BTreeSet<u32> {
    let asleep = all(facts).into_iter().filter(|poll| poll.thread.and_then(call_of_sleeper).is_some());
    asleep.map(|poll| poll.tid).collect()
}

/// The long polls that block a worker, one for each thread.
pub(super) fn all<'a>(facts: &Facts<'a>) -> Vec<LongPoll<'a>> {
    let outermost = outermost(facts);
    let tasks_on =
        |runtime: usize| outermost.iter().filter(|(task, ..)| task.runtime == Some(runtime)).count();
    let long = outermost.iter().filter_map(|&(task, tid, ms)| {
        let thread = facts.threads().find(|thread| thread.tid == tid);
        let certainty = match task.runtime {
            None => runs_tasks(thread?, facts.frames).then_some(Certainty::Certain)?,
            Some(index) => stays_on_its_worker(task, facts, index, tasks_on(index))?,
        };
        let is_still = facts.second.is_still(tid);
        let asleep = thread.filter(|_| is_still).and_then(call_of_sleeper);
        Some(LongPoll { task, tid, ms, thread, asleep, certainty })
    });
    long.collect()
}

/// The outermost of the tasks that each thread is inside, if that poll is a long one.
fn outermost<'a>(facts: &Facts<'a>) -> Vec<(&'a Task, u32, u64)> {
    let mut found: Vec<(&Task, u32, u64)> = Vec::new();
    for task in facts.tasks().filter(|task| !task.blocking) {
        let TaskState::Polling { tid, polling_ms, .. } = task.state else { continue };
        if polling_ms < LONG_MS {
            continue;
        }
        match found.iter().position(|(_, other, _)| *other == tid) {
            Some(known) => {
                // A runtime's own task is never inside another one.
                let (outer, _, since) = found[known];
                if outer.runtime.is_none() && (task.runtime.is_some() || since < polling_ms) {
                    found[known] = (task, tid, polling_ms);
                }
            }
            None if found.len() < MAX_POLLS => found.push((task, tid, polling_ms)),
            None => {}
        }
    }
    found
}

/// The call in which the thread sleeps.
pub(super) fn call_of_sleeper(thread: &Thread) -> Option<&Waiting> {
    let sleeps = matches!(thread.state.as_deref(), Some("sleeping" | "disk sleep"));
    thread.waiting.as_deref().filter(|_| sleeps)
}

/// Whether the functions that have called the outermost poll run the tasks of an executor, and not
/// the future of a `block_on`. Those of tokio are known by their runtime.
fn runs_tasks(thread: &Thread, frames: &[Frame]) -> bool {
    const RUN: [&str; 2] = ["async_task::raw::RawTask", "futures_executor::thread_pool::"];
    let frame = |number: &u32| frames.get(usize::try_from(*number).ok()?);
    let numbers = &thread.stack.frames;
    let Some(root) = numbers.iter().rposition(|number| frame(number).is_some_and(Frame::is_gmr)) else {
        return false;
    };
    let mut outside = numbers[root..].iter().filter_map(|number| frame(number)?.function.as_deref());
    outside.any(|function| {
        let function = function.trim_start_matches('<');
        RUN.iter().any(|name| function.starts_with(name))
    })
}

/// How sure it is that the poll blocks a worker of its runtime: in `block_in_place`, another thread
/// takes the worker over. `None` if it may be in there.
///
/// Where no debug information tells what is inlined, tokio does: it counts the workers that are
/// stuck.
fn stays_on_its_worker(task: &Task, facts: &Facts<'_>, runtime: usize, tasks: usize) -> Option<Certainty> {
    let runtime = runtime_at(facts, runtime)?;
    let inside = frames_inside(task).unwrap_or_default();
    let functions = || places::frames(inside, facts.frames).filter_map(|frame| frame.function.as_deref());
    if functions().any(|function| function.contains("block_in_place")) {
        return None;
    }
    if !has_several_workers(runtime) || places::are_lines_known(inside, facts.frames) {
        return Some(Certainty::Certain);
    }
    runtime.stuck_workers.is_some_and(|stuck| stuck >= tasks).then_some(Certainty::Probable)
}

/// Whether tasks of this runtime can call `block_in_place`.
fn has_several_workers(runtime: &Runtime) -> bool {
    !runtime.kind.contains("current thread")
}

/// The runtime at this index.
pub(super) fn runtime_at<'a>(facts: &Facts<'a>, index: usize) -> Option<&'a Runtime> {
    let mut runtimes = facts.sections.iter().filter_map(|section| match &section.content {
        Content::GreenThreads(section) => Some(&section.runtimes),
        _ => None,
    });
    runtimes.next()?.get(index)
}

/// The runtimes all of whose workers sleep inside polls that take very long, each with those
/// polls.
pub(super) fn blocked_runtimes<'a>(facts: &Facts<'a>) -> Vec<(&'a Runtime, Vec<LongPoll<'a>>)> {
    let polls = all(facts);
    let mut indices: Vec<usize> = polls.iter().filter_map(|poll| poll.task.runtime).collect();
    indices.dedup();
    let mut blocked: Vec<(&Runtime, Vec<LongPoll<'_>>)> = Vec::new();
    for index in indices {
        let Some(runtime) = runtime_at(facts, index) else { continue };
        let blocks = |poll: &&LongPoll<'_>| {
            poll.task.runtime == Some(index) && poll.ms >= VERY_LONG_MS && poll.asleep.is_some()
        };
        let polls: Vec<LongPoll<'_>> = polls.iter().filter(blocks).copied().collect();
        let agrees = runtime.stuck_workers.is_none_or(|stuck| stuck >= runtime.workers);
        let is_known = blocked.iter().any(|(other, _)| std::ptr::eq(*other, runtime));
        if runtime.workers > 0 && polls.len() >= runtime.workers && agrees && !is_known {
            blocked.push((runtime, polls));
        }
    }
    blocked
}
