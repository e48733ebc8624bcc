//! `task.longest-wait`: the tasks that have been waiting longest, and where the first ones wait.

use super::facts::{Facts, finding};
use super::places;
use crate::model::{Evidence, Finding, Frame, Severity, Task, TaskState};
use crate::units::{as_shown, duration};

/// Of how many tasks that have waited equally long the finding says where.
const MAX_SHOWN: usize = 3;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let waiting = || {
        facts.tasks().filter_map(|task| match task.state {
            TaskState::Waiting { waiting_ms } => Some((task, as_shown(waiting_ms))),
            _ => None,
        })
    };
    let Some(longest) = waiting().map(|(_, shown)| shown).max() else { return Vec::new() };
    let time = duration(longest);
    // They come in the order in which they were spawned.
    let mut tied = waiting().filter(|(_, shown)| *shown == longest).map(|(task, _)| task);
    let shown: Vec<&Task> = tied.by_ref().take(MAX_SHOWN).collect();
    let more = tied.count();
    let message = match &shown[..] {
        [only] => format!("the task that has been waiting longest is #{} ({}): {time}", only.id, only.name),
        _ => format!("{} tasks have been waiting for {time}, no task for longer", shown.len() + more),
    };
    let is_only = shown.len() == 1;
    vec![Finding {
        tasks: shown.iter().map(|task| task.id).collect(),
        evidence: shown.iter().filter_map(|task| place(task, is_only, facts.frames)).collect(),
        ..finding("task.longest-wait", Severity::Info, message)
    }]
}

/// Where a task waits, if its stack was taken. The only one has been named already.
fn place(task: &Task, is_only: bool, frames: &[Frame]) -> Option<Evidence> {
    let innermost = task.stacks.iter().find_map(|stack| places::of_program(&stack.frames, frames));
    if innermost.is_none() && is_only {
        return None;
    }
    let who = if is_only { "it".to_owned() } else { named(task) };
    let waits = if innermost.is_some() { " waits" } else { "" };
    Some(Evidence {
        message: format!("{who}{waits}"),
        task: Some(task.id),
        frame: innermost,
        ..Evidence::default()
    })
}

/// The longest label that is part of a name.
const MAX_LABEL: usize = 40;

/// `#1 (shop::checkout, order = 4000)`: tasks of the same name differ in their first label.
fn named(task: &Task) -> String {
    let label = task.labels.first().map(|label| format!(", {} = {}", label.key, label.value));
    let label = label.filter(|label| label.chars().count() <= MAX_LABEL).unwrap_or_default();
    format!("#{} ({}{label})", task.id, task.name)
}
