//! `thread.spinning`: threads that used a whole core between the report's first look and the
//! second.
//!
//! Those that were running at the first look are looked at again. Any other thread may have run by
//! then as well, and is not seen.

use std::collections::BTreeSet;

use super::facts::{Facts, MAX_EVIDENCE, count, finding, ids, name, names, place};
use crate::model::{Evidence, Finding, Severity, Thread};
use crate::units::duration;

/// The threads whose second look tells whether they use a whole core.
pub(super) fn suspects(facts: &Facts<'_>) -> Vec<u32> {
    facts.running().map(|thread| thread.tid).collect()
}

/// Whether a thread used a whole core: nine tenths of the time. A thread that computes and does not
/// wait loses some of it to interrupts, and to other threads.
pub(super) fn is_spinning(facts: &Facts<'_>, tid: u32) -> bool {
    facts.second.used(tid).is_some_and(|(used, between)| !between.is_zero() && used * 10 >= between * 9)
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let threads: Vec<&Thread> = facts.running().filter(|thread| is_spinning(facts, thread.tid)).collect();
    let Some((_, between)) = threads.first().and_then(|first| facts.second.used(first.tid)) else {
        return Vec::new();
    };
    let used = count(threads.len(), "thread used a whole core", "threads used a whole core each");
    let time = duration(u64::try_from(between.as_millis()).unwrap_or(u64::MAX));
    let message = format!("{used} for {time}: {}", names(&threads));
    let next = "what the stacks of these threads have in common in further reports: the loop is there";
    vec![Finding {
        threads: ids(&threads),
        evidence: evidence(&threads, facts),
        next: Some(next.to_owned()),
        ..finding("thread.spinning", Severity::Info, message)
    }]
}

/// Where the threads were when their stacks were taken, one fact for each place.
fn evidence(threads: &[&Thread], facts: &Facts<'_>) -> Vec<Evidence> {
    let places: BTreeSet<u32> = threads.iter().filter_map(|thread| place(thread, facts.frames)).collect();
    let at = |frame: u32| {
        let mut here = threads.iter().filter(|thread| place(thread, facts.frames) == Some(frame));
        let first = here.next()?;
        let message = match here.count() {
            0 => format!("{} was", name(first)),
            others => format!("{} threads were", others + 1),
        };
        Some(Evidence { message, thread: Some(first.tid), frame: Some(frame), ..Evidence::default() })
    };
    places.into_iter().take(MAX_EVIDENCE).filter_map(at).collect()
}
