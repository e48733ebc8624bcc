//! `thread.running`: threads that were running, or ready to run, when the report was made. Those
//! that used a whole core are in `thread.spinning`.

use super::facts::{Facts, about_threads};
use super::spinning;
use crate::model::{Finding, Severity, Thread};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let others: Vec<&Thread> =
        facts.running().filter(|thread| !spinning::is_spinning(facts, thread.tid)).collect();
    about_threads("thread.running", Severity::Info, &others, "thread was running", "threads were running")
}
