//! `thread.uninterruptible`: threads in a wait that no signal interrupts, typically for a disk or a
//! network file system.

use super::facts::{Facts, about_threads};
use crate::model::{Finding, Severity, Thread};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let threads: Vec<&Thread> = facts.threads().filter(|thread| is_uninterruptible(thread)).collect();
    about_threads(
        "thread.uninterruptible",
        Severity::Warning,
        &threads,
        "thread is in uninterruptible sleep",
        "threads are in uninterruptible sleep",
    )
}

fn is_uninterruptible(thread: &Thread) -> bool {
    thread.waiting.as_ref().is_some_and(|waiting| waiting.kernel_function.is_some())
        || thread.state.as_deref() == Some("disk sleep")
}
