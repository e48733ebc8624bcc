//! `thread.cut-stack`: threads whose stack ends before their first function, one finding for each
//! reason. The report does not show what called the last frame.

use super::facts::{Facts, count, finding, ids, names};
use crate::model::{Finding, Severity, Thread};
use crate::sys::sorted_map::SortedMap;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut by_reason = SortedMap::<&str, Vec<&Thread>>::new();
    for thread in facts.threads().filter(|thread| !thread.stack.frames.is_empty()) {
        if let Some(reason) = &thread.stack.incomplete {
            by_reason.entry(reason.as_str()).push(thread);
        }
    }
    let cut = |(reason, threads): (&str, Vec<&Thread>)| {
        let stacks =
            count(threads.len(), "thread has a stack that is cut", "threads have stacks that are cut");
        let message = format!("{stacks}: {}; {reason}", names(&threads));
        Finding { threads: ids(&threads), ..finding("thread.cut-stack", Severity::Info, message) }
    };
    by_reason.into_iter().map(cut).collect()
}
