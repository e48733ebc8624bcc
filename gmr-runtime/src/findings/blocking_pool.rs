//! `task.blocking-pool-full`: functions that wait for a thread of tokio's pool for blocking calls.
//! A small pool can be meant to hold them back, so this is never more than an `info`.

use super::facts::{Facts, MAX_EVIDENCE, count, finding};
use super::polls;
use crate::model::{Evidence, Finding, Severity, Task, TaskState, Thread};
use crate::units::duration;

/// A free thread takes a function within microseconds, and a new one is started within a
/// millisecond. A function that has waited for this long has found none.
const WAITS_MS: u64 = 1_000;

/// The functions that have been waiting for a thread, and those that run.
fn functions<'a>(facts: &Facts<'a>) -> (Vec<&'a Task>, Vec<(&'a Task, u32, u64)>) {
    let (mut waiting, mut running) = (Vec::new(), Vec::new());
    for task in facts.tasks().filter(|task| task.blocking) {
        match task.state {
            TaskState::New if task.age_ms >= WAITS_MS => waiting.push(task),
            TaskState::Polling { tid, polling_ms, .. } => running.push((task, tid, polling_ms)),
            _ => {}
        }
    }
    (waiting, running)
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let (waiting, running) = functions(facts);
    // In the order in which they were spawned.
    let Some(first) = waiting.first() else { return Vec::new() };
    let threads: Vec<&Thread> = facts.threads().collect();
    let thread = |tid: u32| threads.iter().find(|thread| thread.tid == tid).copied();
    let functions = count(waiting.len(), "function waits", "functions wait");
    let others = count(running.len(), "tracked function runs", "tracked functions run");
    let time = duration(first.age_ms);
    let message = format!("{functions} for a thread for blocking calls, the longest for {time}; {others}");
    let evidence = running.iter().take(MAX_EVIDENCE).map(|&(task, tid, ms)| {
        let call = thread(tid).and_then(polls::call_of_sleeper).map(polls::call);
        let doing = call.map(|call| format!(", and waits in {call}")).unwrap_or_default();
        let inside = polls::frames_inside(task).unwrap_or_default();
        Evidence {
            message: format!(
                "task #{} ({}) has been running for {}{doing}",
                task.id,
                task.name,
                duration(ms)
            ),
            thread: Some(tid),
            task: Some(task.id),
            frame: super::places::of_program(inside, facts.frames),
        }
    });
    vec![Finding {
        threads: running.iter().map(|(_, tid, _)| *tid).collect(),
        tasks: waiting.iter().map(|task| task.id).collect(),
        evidence: evidence.collect(),
        next: Some("what the functions on these threads wait for, or `max_blocking_threads`".to_owned()),
        ..finding("task.blocking-pool-full", Severity::Info, message)
    }]
}
