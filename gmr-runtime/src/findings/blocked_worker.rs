//! `task.blocks-worker`: a task whose poll takes long, so that its worker thread runs no other
//! task.

use super::facts::{Facts, finding};
use super::polls::{self, LongPoll, VERY_LONG_MS};
use crate::model::{Finding, Severity};
use crate::units::duration;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let blocked = polls::blocked_runtimes(facts);
    let is_reported = |poll: &LongPoll<'_>| {
        blocked.iter().flat_map(|(_, polls)| polls).any(|reported| reported.tid == poll.tid)
    };
    polls::all(facts)
        .iter()
        .filter(|poll| !is_reported(poll))
        .filter_map(|poll| {
            // A thread that computes may do what the program is for, and one that was not looked at
            // twice may compute.
            let severity = match (poll.asleep, poll.ms >= VERY_LONG_MS) {
                (Some(_), true) => Severity::Error,
                (Some(_), false) => Severity::Warning,
                (None, true) => Severity::Info,
                (None, false) => return None,
            };
            let (id, name, thread) = (poll.task.id, &poll.task.name, poll.thread_name());
            let time = duration(poll.ms);
            let blocks = if poll.asleep.is_some() { "blocks its worker" } else { "occupies its worker" };
            let message =
                format!("task #{id} ({name}) {blocks}: thread {thread} has been polling it for {time}");
            Some(Finding {
                threads: vec![poll.tid],
                tasks: vec![id],
                certainty: poll.certainty,
                evidence: poll.evidence(facts).into_iter().collect(),
                next: Some("the slow or blocking call in the task's stack".to_owned()),
                ..finding("task.blocks-worker", severity, message)
            })
        })
        .collect()
}
