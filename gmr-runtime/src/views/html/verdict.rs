//! What stands out in a report: the first thing on the page, each with the place that tells more.
//!
//! It judges by what the report says, and says nothing that it does not.

use std::collections::BTreeMap;

use super::anchors;
use crate::model::{Content, Report, Section, TaskState, Thread};
use crate::units::{counted, duration};
use crate::views::escape::clean;
use crate::views::grouping::lasting;
use crate::views::words;
use crate::views::{Context, Detail};

/// A poll that is over in less is none that blocks its worker.
const LONG_POLL_MS: u64 = 1_000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Trouble,
    Suspicion,
    Remark,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) weight: Weight,
    pub(super) text: String,
    /// The anchor of what it is about.
    pub(super) about: String,
}

/// What stands out, the worst first.
pub(super) fn findings(report: &Report) -> Vec<Finding> {
    let cx = Context { frames: &report.frames, detail: Detail::Full };
    let mut findings: Vec<Finding> = report
        .sections
        .iter()
        .enumerate()
        .flat_map(|(index, section)| of_section(index, section, cx))
        .collect();
    findings.sort_by_key(|finding| finding.weight);
    findings
}

fn of_section(index: usize, section: &Section, cx: Context<'_>) -> Vec<Finding> {
    match &section.content {
        Content::Threads(threads) => of_threads(&threads.threads, cx),
        Content::GreenThreads(section) => of_tasks(&section.tasks),
        Content::Configuration(groups) => {
            let failed = groups.iter().filter(|group| !group.content.is_ok());
            failed
                .filter_map(|group| failure(&group.title, &group.content, anchors::section(index)))
                .collect()
        }
        content => failure(&section.title, content, anchors::section(index)).into_iter().collect(),
    }
}

fn failure(title: &str, content: &Content, about: String) -> Option<Finding> {
    if content.is_ok() {
        return None;
    }
    let what = words::failure(content)?;
    let first = what.lines().next().unwrap_or_default();
    Some(Finding { weight: Weight::Trouble, text: format!("{}: {}", clean(title), clean(first)), about })
}

fn of_threads(threads: &[Thread], cx: Context<'_>) -> Vec<Finding> {
    let programs = || threads.iter().filter(|thread| thread.role.is_program());
    let mut findings = Vec::new();
    let mut locks: BTreeMap<u64, Vec<&Thread>> = BTreeMap::new();
    for thread in programs() {
        let futex = thread.waiting.as_ref().and_then(|waiting| waiting.futex);
        if let Some(futex) = futex.filter(|_| waits_for_a_lock(thread, cx)) {
            locks.entry(futex).or_default().push(thread);
        }
    }
    for (futex, waiting) in locks {
        findings.push(Finding {
            weight: Weight::Suspicion,
            text: format!(
                "{} for {} (futex {futex:#x}): {}",
                verb(waiting.len(), "thread waits", "threads wait"),
                if waiting.len() == 1 { "a lock" } else { "the same lock" },
                names(&waiting)
            ),
            about: anchors::thread(waiting[0].tid),
        });
    }
    let mut remark = |weight, matching: Vec<&Thread>, one, many| {
        if let Some(first) = matching.first() {
            let text = format!("{}: {}", verb(matching.len(), one, many), names(&matching));
            findings.push(Finding { weight, text, about: anchors::thread(first.tid) });
        }
    };
    let in_kernel = |thread: &&Thread| {
        thread.waiting.as_ref().is_some_and(|waiting| waiting.kernel_function.is_some())
            || thread.state.as_deref() == Some("disk sleep")
    };
    let without = |thread: &&Thread| thread.stack.frames.is_empty();
    let computing = |thread: &&Thread| thread.state.as_deref() == Some("running");
    remark(
        Weight::Suspicion,
        programs().filter(in_kernel).collect(),
        "thread is in uninterruptible sleep",
        "threads are in uninterruptible sleep",
    );
    remark(
        Weight::Suspicion,
        programs().filter(without).collect(),
        "thread has no stack in this report",
        "threads have no stack in this report",
    );
    remark(
        Weight::Remark,
        programs().filter(computing).collect(),
        "thread was computing",
        "threads were computing",
    );
    findings
}

/// Whether the program called for a lock where the thread stands: what it has called waits, and is named after it.
fn waits_for_a_lock(thread: &Thread, cx: Context<'_>) -> bool {
    const LOCKS: [&str; 7] = [
        "lock_contended",
        "lock_slow",
        "read_contended",
        "write_contended",
        "pthread_mutex_lock",
        "pthread_rwlock_",
        "__lll_lock_wait",
    ];
    /// Within these many frames of the innermost one.
    const NEAR: usize = 8;
    cx.frames_of(&thread.stack).iter().take(NEAR).any(|frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        LOCKS.iter().any(|lock| function.contains(lock))
    })
}

fn of_tasks(tasks: &[crate::model::Task]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for task in tasks {
        let TaskState::Polling { tid, thread, polling_ms } = &task.state else { continue };
        if *polling_ms < LONG_POLL_MS {
            continue;
        }
        let worker = thread.as_ref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
        findings.push(Finding {
            weight: Weight::Trouble,
            text: format!(
                "task #{} ({}) blocks its worker: thread #{tid}{worker} has been inside its poll for {}",
                task.id,
                clean(&task.name),
                duration(*polling_ms)
            ),
            about: anchors::thread(*tid),
        });
    }
    let woken: Vec<_> = tasks.iter().filter(|task| matches!(task.state, TaskState::Woken { .. })).collect();
    if let Some(first) = woken.iter().max_by_key(|task| lasting(task)) {
        findings.push(Finding {
            weight: Weight::Trouble,
            text: format!(
                "{} woken and not polled: the runtime had no thread free",
                verb(woken.len(), "task was", "tasks were")
            ),
            about: anchors::task(first.id),
        });
    }
    let waiting = tasks.iter().filter(|task| matches!(task.state, TaskState::Waiting { .. }));
    if let Some(longest) = waiting.max_by_key(|task| lasting(task)) {
        findings.push(Finding {
            weight: Weight::Remark,
            text: format!(
                "the task that has waited longest is #{} ({}): {}",
                longest.id,
                clean(&longest.name),
                duration(lasting(longest))
            ),
            about: anchors::task(longest.id),
        });
    }
    findings
}

fn verb(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The first few, and how many more.
fn names(threads: &[&Thread]) -> String {
    const MOST: usize = 5;
    let shown: Vec<String> = threads.iter().take(MOST).map(|thread| words::label(thread)).collect();
    let more = threads.len().saturating_sub(MOST);
    let tail = if more > 0 {
        format!(" and {}", counted(more, "more").trim_end_matches('s'))
    } else {
        String::new()
    };
    format!("{}{tail}", shown.join(", "))
}
