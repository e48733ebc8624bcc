//! `thread.uninterruptible`: threads in a wait that no signal interrupts, typically for a disk or a
//! network file system.

use super::facts::{Facts, MAX_EVIDENCE, about_threads, name, place};
use crate::model::{Evidence, Finding, Severity, Thread};
use crate::units::duration;

/// How long a call takes if something is wrong. A busy disk makes those who read, write and sync
/// sleep for some hundred milliseconds at a time, and a slow one for seconds.
const LONG_MS: u64 = 10_000;

/// How many threads are looked at: the kernel takes some microseconds for each.
const MAX_THREADS: usize = 512;

/// The threads whose second look tells whether they are still in the same wait.
pub(super) fn suspects(facts: &Facts<'_>) -> Vec<u32> {
    waiting(facts).map(|thread| thread.tid).collect()
}

fn waiting<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Thread> {
    facts.threads().filter(|thread| is_uninterruptible(thread)).take(MAX_THREADS)
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let still = waiting(facts).filter(|thread| !facts.second.has_moved(thread.tid));
    // Without a second look, they may have gone on a moment later.
    let is_stuck = |thread: &&Thread| facts.second.is_still(thread.tid) && thread.at_rest_ms >= Some(LONG_MS);
    let (stuck, other): (Vec<&Thread>, Vec<&Thread>) = still.partition(is_stuck);
    let mut findings = of_these(&stuck, Severity::Warning, facts);
    findings.extend(of_these(&other, Severity::Info, facts));
    findings
}

fn of_these(threads: &[&Thread], severity: Severity, facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = about_threads(
        "thread.uninterruptible",
        severity,
        threads,
        "thread is in uninterruptible sleep",
        "threads are in uninterruptible sleep",
    );
    for finding in &mut findings {
        finding.evidence =
            threads.iter().filter_map(|thread| in_kernel(thread, facts)).take(MAX_EVIDENCE).collect();
        let next = if threads.iter().all(|thread| is_in_vfork(thread)) {
            "the child processes, which have not yet started their programs"
        } else {
            "the disk, or the server of the file system, that they wait for"
        };
        finding.next = Some(next.to_owned());
    }
    findings
}

/// What the thread waits for, the kernel function that it is in, and for how long.
fn in_kernel(thread: &Thread, facts: &Facts<'_>) -> Option<Evidence> {
    let waiting = thread.waiting.as_deref()?;
    let function = waiting.kernel_function.as_ref()?;
    let target = waiting.target.as_ref().or(waiting.path.as_ref());
    let target = target.map(|target| format!(" ({target})")).unwrap_or_default();
    let time = match thread.at_rest_ms {
        Some(time) if time > 0 => format!(" for at least {}", duration(time)),
        _ => String::new(),
    };
    let message = format!(
        "{} is in the kernel's function {function}{time}, called by {}{target}",
        name(thread),
        waiting.call
    );
    let frame = place(thread, facts.frames);
    Some(Evidence { message, thread: Some(thread.tid), frame, ..Evidence::default() })
}

fn is_uninterruptible(thread: &Thread) -> bool {
    thread.waiting.as_deref().is_some_and(|waiting| waiting.kernel_function.is_some())
        || thread.state.as_deref() == Some("disk sleep")
}

/// Whether the thread waits for a child to start another program.
fn is_in_vfork(thread: &Thread) -> bool {
    thread.waiting.as_deref().is_some_and(|waiting| waiting.call == "vfork")
}

#[cfg(all(test, not(gmr_units)))]
mod tests;
