//! `task.block-on-in-worker`: a task that calls `block_on` inside its poll.

use super::facts::{Facts, finding};
use super::polls::{self, LONG_MS, LongPoll};
use crate::model::{Finding, Frame, Severity, TaskState};
use crate::units::duration;

/// Functions that poll a future until it is ready, and put the thread to sleep in between.
const BLOCK_ON: [&str; 7] = [
    "async_io::driver::block_on",
    "async_std::task::block_on",
    "futures_executor::local_pool::block_on",
    "futures_lite::future::block_on",
    "pollster::block_on",
    "tokio::runtime::handle::Handle",
    "tokio::runtime::runtime::Runtime",
];

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let polls = polls::all(facts);
    let mut findings = Vec::new();
    for task in facts.tasks().filter(|task| !task.blocking && task.runtime.is_some()) {
        let TaskState::Polling { tid, polling_ms, .. } = task.state else { continue };
        let inside = polls::frames_inside(task).unwrap_or_default();
        let at = |number: u32| facts.frames.get(usize::try_from(number).ok()?);
        let Some(outermost) = inside.iter().rposition(|&number| at(number).is_some_and(is_block_on)) else {
            continue;
        };
        if polling_ms < LONG_MS {
            continue;
        }
        let blocks = polls.iter().find(|poll: &&LongPoll<'_>| poll.tid == tid && poll.asleep.is_some());
        let severity = if blocks.is_some() { Severity::Warning } else { Severity::Info };
        let (id, name, time) = (task.id, &task.name, duration(polling_ms));
        let message = format!("task #{id} ({name}) is inside `block_on` in a poll that began {time} ago");
        // The function that has called it.
        let frame = super::places::of_program(&inside[outermost..], facts.frames);
        let evidence = crate::model::Evidence {
            message: "it is called".to_owned(),
            thread: Some(tid),
            task: Some(id),
            frame,
        };
        findings.push(Finding {
            threads: vec![tid],
            tasks: vec![id],
            evidence: vec![evidence],
            next: Some("whether the task can `await` that future instead".to_owned()),
            ..finding("task.block-on-in-worker", severity, message)
        });
    }
    findings
}

fn is_block_on(frame: &Frame) -> bool {
    let Some(function) = frame.function.as_deref() else { return false };
    let path = function.trim_start_matches('<');
    BLOCK_ON.iter().any(|name| path.starts_with(name)) && function.contains("block_on")
}
