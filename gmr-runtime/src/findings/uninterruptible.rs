//! `thread.uninterruptible`: threads in a wait that no signal interrupts, typically for a disk or a
//! network file system.

use super::facts::{Facts, MAX_EVIDENCE, about_threads, name};
use crate::model::{Evidence, Finding, Severity, Thread};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let threads: Vec<&Thread> = facts.threads().filter(|thread| is_uninterruptible(thread)).collect();
    let mut findings = about_threads(
        "thread.uninterruptible",
        Severity::Warning,
        &threads,
        "thread is in uninterruptible sleep",
        "threads are in uninterruptible sleep",
    );
    for finding in &mut findings {
        finding.evidence = threads.iter().filter_map(|thread| in_kernel(thread)).take(MAX_EVIDENCE).collect();
        finding.next = Some("the disk, or the server of the file system, that they wait for".to_owned());
    }
    findings
}

/// The kernel function that the thread is in.
fn in_kernel(thread: &Thread) -> Option<Evidence> {
    let function = thread.waiting.as_ref()?.kernel_function.as_ref()?;
    let message = format!("{} is in the kernel's function {function}", name(thread));
    Some(Evidence { message, thread: Some(thread.tid), ..Evidence::default() })
}

fn is_uninterruptible(thread: &Thread) -> bool {
    thread.waiting.as_ref().is_some_and(|waiting| waiting.kernel_function.is_some())
        || thread.state.as_deref() == Some("disk sleep")
}
