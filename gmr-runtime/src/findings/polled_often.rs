//! `task.polled-often`: tasks that have been polled very often for as long as they exist, as a
//! `select!` loop is that never waits. A busy task is polled often as well, so it is an `info`.

use std::cmp::Reverse;

use super::facts::{Facts, MAX_EVIDENCE, count, finding};
use super::places;
use crate::model::{Evidence, Finding, Severity, Task};
use crate::sys::sort;
use crate::units::duration;

/// From how many polls in a second on. tokio ends a poll in which 128 operations did not have to
/// wait, so an unoptimized loop that never waits is polled some thousand times, an optimized one ten
/// times as often.
const OFTEN: u64 = 2_000;
/// How long a task must have existed. At the beginning, it may have much to do.
const LONG_MS: u64 = 1_000;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let is_often = |task: &&Task| task.age_ms >= LONG_MS && polls_a_second(task) >= OFTEN;
    let mut tasks: Vec<&Task> = facts.tasks().filter(is_often).collect();
    if tasks.is_empty() {
        return Vec::new();
    }
    sort::by_key(&mut tasks, |task| Reverse(polls_a_second(task)));
    let polled = count(tasks.len(), "task was polled", "tasks were polled");
    let message = format!("{polled} at least {OFTEN} times a second on average");
    let evidence = tasks.iter().take(MAX_EVIDENCE).map(|task| Evidence {
        message: format!(
            "#{} ({}) was polled {} times in {}",
            task.id,
            task.name,
            task.polls,
            duration(task.age_ms)
        ),
        task: Some(task.id),
        frame: task.stacks.first().and_then(|stack| places::of_program(&stack.frames, facts.frames)),
        ..Evidence::default()
    });
    let next = "whether they have that much to do, or never wait, as a `select!` loop with a branch that is \
                always ready";
    vec![Finding {
        tasks: tasks.iter().map(|task| task.id).collect(),
        evidence: evidence.collect(),
        next: Some(next.to_owned()),
        ..finding("task.polled-often", Severity::Info, message)
    }]
}

fn polls_a_second(task: &Task) -> u64 {
    task.polls.saturating_mul(1_000).checked_div(task.age_ms).unwrap_or(0)
}
