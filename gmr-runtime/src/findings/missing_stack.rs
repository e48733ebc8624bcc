//! `thread.no-stack`: threads whose stack could not be captured.

use super::facts::{Facts, about_threads};
use crate::model::{Finding, Severity, Thread};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let threads: Vec<&Thread> = facts.threads().filter(|thread| thread.stack.frames.is_empty()).collect();
    about_threads(
        "thread.no-stack",
        Severity::Warning,
        &threads,
        "thread has no stack in this report",
        "threads have no stack in this report",
    )
}
