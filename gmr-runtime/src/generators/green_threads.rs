//! Green Threads: every tracked task, its state, and where it waits. Tasks are polled in `task`,
//! not here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::capture::{Address, Trace};
use crate::mask;
use crate::model::{Content, Frame, GreenThreads, Label, Runtime, Stack, Task, TaskState};
use crate::section::output::Output;
use crate::symbols::Symbolized;
use crate::sys::{self, Modules};
use crate::task::{self, Branch, Branches, Condition, Survey};
use crate::{symbols, threads};

/// How long the report waits until all tasks have been polled once.
const TIMEOUT: Duration = Duration::from_millis(500);

pub(super) fn generate() -> Output {
    let survey = task::survey(TIMEOUT);
    let runtimes = runtimes();
    describe(&survey, runtimes)
}

#[cfg(feature = "tokio")]
fn runtimes() -> Vec<Runtime> {
    task::runtimes::all()
}

#[cfg(not(feature = "tokio"))]
fn runtimes() -> Vec<Runtime> {
    Vec::new()
}

fn describe(survey: &Survey, runtimes: Vec<Runtime>) -> Output {
    let mut notes = Vec::new();
    if survey.unread > 0 {
        notes.push("some tasks are missing: a thread was stopped while it started or ended one".to_owned());
    }
    let live: Vec<_> = survey
        .tasks
        .iter()
        .filter(|task| !task.has_ended())
        .filter_map(|task| Some((task, task.snapshot(survey.trace)?)))
        .collect();
    let (mut stacks, stack_notes) =
        Stacks::of(live.iter().filter_map(|(_, (condition, _))| condition.branches()));
    notes.extend(stack_notes);
    let mut interner = Interner::default();
    let now = SystemTime::now();
    let tasks = live
        .iter()
        .map(|(task, (condition, labels))| Task {
            id: task.id,
            name: interner.text(task.name.as_ptr().addr(), || task.name.to_owned()),
            spawned_at: interner
                .text(std::ptr::from_ref(task.spawned_at).addr(), || task.spawned_at.to_string()),
            age_ms: millis(now.duration_since(task.spawned).unwrap_or_default()),
            polls: task.polls(),
            labels: labels.iter().map(|(key, value)| label(key, value)).collect(),
            state: state(condition),
            stacks: condition.branches().map(|branches| stacks.get(branches)).unwrap_or_default(),
        })
        .collect();
    let content = Content::GreenThreads(GreenThreads { tasks, runtimes, notes });
    Output { content, frames: stacks.frames }
}

/// The label, its value masked as if it were a field of a section.
fn label(key: &str, value: &str) -> Label {
    let value = mask::to_value(&HashMap::from([(key, value)])).ok();
    let masked = value.as_ref().and_then(|value| match value.get(key) {
        Some(crate::model::Value::Text(text)) => Some(text.clone()),
        _ => None,
    });
    Label { key: key.to_owned(), value: masked.unwrap_or_else(|| "***".to_owned()) }
}

fn state(condition: &Condition) -> TaskState {
    match condition {
        Condition::Polling { tid, since } => {
            let thread = Some(threads::info(*tid, None).name).filter(|name| !name.is_empty());
            TaskState::Polling { tid: *tid, thread, polling_ms: millis(*since) }
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

/// Texts that many tasks have in common, by the address of the original.
#[derive(Default)]
struct Interner(HashMap<usize, Arc<str>>);

impl Interner {
    fn text(&mut self, address: usize, text: impl FnOnce() -> String) -> Arc<str> {
        Arc::clone(self.0.entry(address).or_insert_with(|| text().into()))
    }
}

/// The stacks of all branches. The symbols of each distinct branch are resolved once.
#[derive(Default)]
struct Stacks {
    frames: Vec<Frame>,
    by_branch: HashMap<Branch, Stack>,
    by_branches: HashMap<Branches, Arc<[Stack]>>,
}

impl Stacks {
    /// The stacks, and notes about symbols that are missing.
    fn of<'a>(all: impl Iterator<Item = &'a Branches>) -> (Self, Vec<String>) {
        let mut distinct: Vec<Branch> = Vec::new();
        let mut by_branch = HashMap::new();
        for branch in all.flat_map(|branches| branches.iter()) {
            by_branch.entry(Arc::clone(branch)).or_insert_with(|| {
                distinct.push(Arc::clone(branch));
                Stack::default()
            });
        }
        if distinct.is_empty() {
            return (Self::default(), Vec::new());
        }
        let trace = |branch: &Branch| Trace {
            frames: branch.iter().copied().map(Address::Return).collect(),
            ..Trace::default()
        };
        let Symbolized { stacks, frames, notes } = sys::with_files(|| {
            let traces: Vec<Trace> = distinct.iter().map(trace).collect();
            symbols::symbolize(&traces, &Modules::load(), symbols::DEADLINE)
        });
        for (branch, stack) in distinct.into_iter().zip(stacks) {
            by_branch.insert(branch, trimmed(stack, &frames));
        }
        (Self { frames, by_branch, by_branches: HashMap::new() }, notes)
    }

    fn get(&mut self, branches: &Branches) -> Arc<[Stack]> {
        let Self { by_branch, by_branches, .. } = self;
        let stacks = by_branches.entry(Arc::clone(branches)).or_insert_with(|| {
            let mut stacks: Vec<Stack> = branches.iter().map(|branch| by_branch[branch].clone()).collect();
            // A leaf future that clones its waker twice has two equal branches.
            stacks.dedup();
            stacks.into()
        });
        Arc::clone(stacks)
    }
}

/// Removes the frames that took the stack, at its inner end, and those of gmr's own polls, the
/// outermost of which is the task's root.
fn trimmed(mut stack: Stack, frames: &[Frame]) -> Stack {
    let frame = |number: u32| &frames[number as usize];
    let others = stack.frames.iter().copied().filter(|&number| !frame(number).is_gmr());
    stack.frames = others.skip_while(|&number| clones_a_waker(frame(number))).collect();
    stack
}

fn clones_a_waker(frame: &Frame) -> bool {
    frame.function.as_deref().is_some_and(|name| name.contains("core::task::wake::"))
        // With line tables only, function names have no paths, but file names have.
        || frame.file.as_deref().is_some_and(|file| file.ends_with("core/src/task/wake.rs"))
}
