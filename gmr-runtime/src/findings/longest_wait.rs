//! `task.longest-wait`: the task that has been waiting longest.

use super::facts::{Facts, finding};
use crate::model::{Finding, Severity, TaskState};
use crate::units::duration;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let waiting = facts.tasks().filter_map(|task| match task.state {
        TaskState::Waiting { waiting_ms } => Some((task, waiting_ms)),
        _ => None,
    });
    // Of tasks that have waited equally long, the first: it was spawned first.
    let longest = waiting.min_by_key(|&(_, waiting_ms)| std::cmp::Reverse(waiting_ms));
    let Some((task, waiting_ms)) = longest else { return Vec::new() };
    let (id, name, time) = (task.id, &task.name, duration(waiting_ms));
    let message = format!("the task that has been waiting longest is #{id} ({name}): {time}");
    vec![Finding { tasks: vec![id], ..finding("task.longest-wait", Severity::Info, message) }]
}
