//! `thread.running`: threads that were running, or ready to run, when the report was made.

use super::facts::{Facts, about_threads};
use crate::model::{Finding, Severity, Thread};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let threads: Vec<&Thread> =
        facts.threads().filter(|thread| thread.state.as_deref() == Some("running")).collect();
    about_threads("thread.running", Severity::Info, &threads, "thread was running", "threads were running")
}
