//! `process.zombies`: children that have ended, and whose end the program has not taken note of for
//! long.

use std::cmp::Reverse;

use super::facts::{Facts, MAX_EVIDENCE, count, finding};
use crate::model::{Content, Evidence, Finding, Process, Severity, Waiting};
use crate::sys::sort;
use crate::units::duration;

/// From what time on a child is reported. A program that handles SIGCHLD waits for it within
/// milliseconds, one that looks from time to time within seconds.
const LONG_MS: u64 = 10_000;
/// A program can start several children and wait for one after the other, in order. It does not do
/// that with this many, which have ended this long ago, while it waits for none.
const MANY: usize = 256;
const VERY_LONG_MS: u64 = 60_000;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let processes = facts.sections.iter().find_map(|section| match &section.content {
        Content::Processes(processes) => Some((&processes.processes, &section.title)),
        _ => None,
    });
    let Some((processes, title)) = processes else { return Vec::new() };
    // Those below belong to other programs.
    let children = processes.iter().filter(|process| process.depth == 1);
    let mut ended: Vec<(u64, &Process)> =
        children.filter_map(|child| Some((child.ended_for_ms?, child))).collect();
    ended.retain(|(time, _)| *time >= LONG_MS);
    sort::by_key(&mut ended, |(time, _)| Reverse(*time));
    if ended.is_empty() {
        return Vec::new();
    }
    let waits_for_children = |waits: &Waiting| waits.children.is_some();
    let waits = facts.threads().any(|thread| thread.waiting.as_deref().is_some_and(waits_for_children));
    let very_long = ended.iter().filter(|(time, _)| *time >= VERY_LONG_MS).count();
    let severity = if very_long >= MANY && !waits { Severity::Warning } else { Severity::Info };
    let one = "child process has ended and was not waited for (a zombie)";
    let message = count(ended.len(), one, "child processes have ended and were not waited for (zombies)");
    let evidence = ended.iter().take(MAX_EVIDENCE).map(|(time, child)| Evidence {
        message: format!(
            "process {} {} ended at least {} ago",
            child.pid,
            child.command.join(" "),
            duration(*time)
        ),
        ..Evidence::default()
    });
    vec![Finding {
        evidence: evidence.collect(),
        section: Some(title.clone()),
        next: Some("what starts these processes: it must wait for them".to_owned()),
        ..finding("process.zombies", severity, message)
    }]
}

#[cfg(all(test, not(gmr_units)))]
mod tests;
