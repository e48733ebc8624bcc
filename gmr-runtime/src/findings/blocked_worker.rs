//! `task.blocks-worker`: a task whose poll takes long, so that its worker thread runs no other
//! task.

use super::facts::{Facts, finding};
use crate::model::{Finding, Severity, TaskState};
use crate::units::duration;

/// Polls that take at least this long are reported. A poll should return within some 100 us; this
/// is ten thousand times that.
const LONG_POLL_MS: u64 = 1_000;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for task in facts.tasks().filter(|task| !task.blocking) {
        let TaskState::Polling { tid, thread, polling_ms } = &task.state else { continue };
        if *polling_ms < LONG_POLL_MS {
            continue;
        }
        let worker = thread.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let (id, name, time) = (task.id, &task.name, duration(*polling_ms));
        let message = format!(
            "task #{id} ({name}) blocks its worker: thread #{tid}{worker} has been polling it for {time}"
        );
        let finding = finding("task.blocks-worker", Severity::Error, message);
        let next = Some("the task's stack: the call in it that takes long".to_owned());
        findings.push(Finding { threads: vec![*tid], tasks: vec![id], next, ..finding });
    }
    findings
}
