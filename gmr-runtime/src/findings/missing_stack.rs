//! `thread.no-stack`: threads whose stack could not be captured. That is no fault of the program's:
//! a healthy thread blocks signals for a moment, or gets no processor in time. Those that ended
//! before that are not counted.

use super::facts::{Facts, about_threads};
use crate::model::{Finding, Severity, Stack};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let is_missing =
        |stack: &Stack| stack.frames.is_empty() && stack.incomplete.as_deref() != Some(Stack::EXITED);
    let threads: Vec<_> = facts.threads().filter(|thread| is_missing(&thread.stack)).collect();
    about_threads(
        "thread.no-stack",
        Severity::Info,
        &threads,
        "thread has no stack in this report",
        "threads have no stack in this report",
    )
}
