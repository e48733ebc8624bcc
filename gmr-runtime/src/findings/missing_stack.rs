//! `thread.no-stack`: threads whose stack could not be captured. Those that ended before that are no
//! problem: programs start threads and end them. Nor are those that were ready to run and got no
//! processor in time, because the machine is busy, and those that the kernel did not let go of in
//! time, because a disk is.

use super::facts::{Facts, about_threads};
use crate::model::{Finding, Severity, Stack, Thread};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let is_missing =
        |stack: &Stack| stack.frames.is_empty() && stack.incomplete.as_deref() != Some(Stack::EXITED);
    let (ready, others): (Vec<&Thread>, Vec<&Thread>) =
        facts.threads().filter(|thread| is_missing(&thread.stack)).partition(|thread| is_busy(thread));
    let about = |severity, threads: &[&Thread]| {
        about_threads(
            "thread.no-stack",
            severity,
            threads,
            "thread has no stack in this report",
            "threads have no stack in this report",
        )
    };
    let mut findings = about(Severity::Warning, &others);
    findings.extend(about(Severity::Info, &ready));
    findings
}

fn is_busy(thread: &Thread) -> bool {
    let reason = thread.stack.incomplete.as_deref().unwrap_or_default();
    thread.state.as_deref() == Some("running") || reason.contains("uninterruptible sleep")
}
