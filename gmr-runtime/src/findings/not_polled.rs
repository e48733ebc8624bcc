//! `task.not-polled`: tasks that were woken for the report and not polled since.

use super::facts::{Facts, count, finding};
use crate::model::{Finding, Severity, TaskState};
use crate::sys::sort;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut woken: Vec<(u64, u64)> = facts
        .tasks()
        .filter_map(|task| match task.state {
            TaskState::Woken { woken_ms, waiting_ms } => Some((task.id, woken_ms.saturating_add(waiting_ms))),
            _ => None,
        })
        .collect();
    if woken.is_empty() {
        return Vec::new();
    }
    // The longest wait first.
    sort::by_key(&mut woken, |&(_, waited)| std::cmp::Reverse(waited));
    let tasks = count(woken.len(), "task was woken", "tasks were woken");
    let message = format!("{tasks} and not polled since: all runtime workers may be busy");
    let tasks = woken.into_iter().map(|(id, _)| id).collect();
    let next = Some("the stacks of the runtime's workers".to_owned());
    vec![Finding { tasks, next, ..finding("task.not-polled", Severity::Error, message) }]
}
