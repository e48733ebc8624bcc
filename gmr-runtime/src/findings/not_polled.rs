//! `task.not-polled`: tasks that were woken for the report and not polled since.

use super::facts::{Facts, count, finding};
use super::polls;
use crate::model::{Finding, Runtime, Severity, Task, TaskState};
use crate::sys::sort;
use crate::units::as_shown;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut woken: Vec<(&Task, u64)> = facts
        .tasks()
        .filter_map(|task| match task.state {
            TaskState::Woken { woken_ms, waiting_ms } => Some((task, woken_ms.saturating_add(waiting_ms))),
            _ => None,
        })
        .collect();
    if woken.is_empty() {
        return Vec::new();
    }
    // The longest wait first.
    sort::by_key(&mut woken, |&(_, waited)| std::cmp::Reverse(as_shown(waited)));
    let mut runtimes: Vec<&Runtime> = Vec::new();
    for index in woken.iter().filter_map(|(task, _)| task.runtime) {
        let runtime = polls::runtime_at(facts, index);
        if let Some(runtime) =
            runtime.filter(|runtime| !runtimes.iter().any(|known| std::ptr::eq(*known, *runtime)))
        {
            runtimes.push(runtime);
        }
    }
    let blocked = polls::blocked_runtimes(facts);
    let is_blocked = |runtime: &&Runtime| blocked.iter().any(|(blocked, _)| std::ptr::eq(*blocked, *runtime));
    // The workers of a healthy program may compute, or get no processor on a busy machine.
    let severity = if runtimes.iter().any(is_blocked) { Severity::Error } else { Severity::Info };
    let tasks = count(woken.len(), "task was woken", "tasks were woken");
    let why = match severity {
        Severity::Error => "all workers of a runtime are blocked",
        _ => "the runtime's workers may be busy",
    };
    let message = format!("{tasks} and not polled since: {why}");
    let tasks = woken.into_iter().map(|(task, _)| task.id).collect();
    let next = Some("the stacks of the runtime's workers".to_owned());
    vec![Finding { tasks, next, ..finding("task.not-polled", severity, message) }]
}
