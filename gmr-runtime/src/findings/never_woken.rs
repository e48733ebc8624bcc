//! `task.never-woken`: tasks that may never be woken: in their last poll, no future has kept a
//! waker.

use super::facts::{Facts, MAX_EVIDENCE, count, finding};
use crate::model::{Certainty, Evidence, Finding, Severity, TaskState};
use crate::units::duration;

/// A waker may have been used up in the moment at which the task was looked at: the task is polled
/// again then, and has not waited for as long.
const WAITS_MS: u64 = 1_000;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut tasks = Vec::new();
    let mut evidence = Vec::new();
    for task in facts.tasks().filter(|task| task.wakers == Some(0)) {
        let TaskState::Waiting { waiting_ms } = task.state else { continue };
        if waiting_ms < WAITS_MS {
            continue;
        }
        tasks.push(task.id);
        if evidence.len() < MAX_EVIDENCE {
            let message = format!("#{} ({}) has waited for {}", task.id, task.name, duration(waiting_ms));
            evidence.push(Evidence { message, task: Some(task.id), ..Evidence::default() });
        }
    }
    if tasks.is_empty() {
        return Vec::new();
    }
    let message = format!(
        "{} never be woken: in the last poll, no future kept a waker",
        count(tasks.len(), "task may", "tasks may")
    );
    vec![Finding {
        tasks,
        evidence,
        // A future may have kept the waker of an earlier poll.
        certainty: Certainty::Possible,
        next: Some("whether they wait forever by design, as with `future::pending`".to_owned()),
        ..finding("task.never-woken", Severity::Info, message)
    }]
}
