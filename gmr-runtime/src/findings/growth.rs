//! `process.growth`: what there is more of than in earlier reports of this process. It may be a
//! leak, or more work to do: counts do not tell, so this is never more than an info.

use std::time::Duration;

use super::counts::{hash, is_known};
use super::facts::{Facts, MAX_EVIDENCE, finding, place};
use super::past::Counts;
use crate::model::{Evidence, Finding, Severity};
use crate::units::{bytes, uptime};

/// How far back it looks. What has grown before that and is still there is no news.
const WITHIN: Duration = Duration::from_secs(60 * 60);
/// By what factor a number has grown at least. With the load of a day, numbers vary by less.
const FACTOR: u64 = 2;
/// How many more threads with the same stack are reported: more than a pool for a small machine
/// has.
const MORE_THREADS: u64 = 50;

/// Something that is counted in each report.
struct Number {
    name: &'static str,
    /// From how much more on it is reported: more than what a program varies by while it starts.
    least: u64,
    of: fn(&Counts) -> Option<u64>,
    shown: fn(u64) -> String,
}

const NUMBERS: [Number; 5] = [
    Number { name: "threads", least: MORE_THREADS, of: |counts| counts.threads, shown: plain },
    Number { name: "tasks", least: 500, of: |counts| counts.tasks, shown: plain },
    Number { name: "open descriptors", least: 100, of: |counts| counts.descriptors, shown: plain },
    Number { name: "child processes", least: 20, of: |counts| counts.children, shown: plain },
    Number { name: "of memory in RAM", least: 100 << 20, of: |counts| counts.resident_bytes, shown: bytes },
];

/// A number of which there is more than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grown {
    now: u64,
    before: u64,
    /// How long ago that was.
    ago: Duration,
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let (mut news, mut evidence, threads) = stacks(facts);
    for Number { name, least, of, shown } in NUMBERS {
        let is_in_stacks = name == "threads" && !threads.is_empty();
        let Some(grown) = grown(facts.past, least, of).filter(|_| !is_in_stacks) else { continue };
        news.push(format!("{} more {name} than {} ago", shown(grown.now - grown.before), ago(grown)));
        let name = name.trim_start_matches("of ");
        let message = format!("{} {name} ({} ago: {})", shown(grown.now), ago(grown), shown(grown.before));
        evidence.push(Evidence { message, ..Evidence::default() });
    }
    if news.is_empty() {
        return Vec::new();
    }
    let message = format!("the process has grown: {}", news.join(", "));
    let next = Some("whether it goes on to grow in further reports".to_owned());
    vec![Finding { threads, evidence, next, ..finding("process.growth", Severity::Info, message) }]
}

/// The stacks that more threads have than before: as news, as evidence, and the threads.
fn stacks(facts: &Facts<'_>) -> (Vec<String>, Vec<Evidence>, Vec<u32>) {
    let (mut news, mut evidence, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    let now = facts.past.last().map(|now| &now.stacks[..]).unwrap_or_default();
    for &(stack, _) in now.iter().filter(|(_, count)| *count >= MORE_THREADS).take(MAX_EVIDENCE) {
        let Some(grown) = grown(facts.past, MORE_THREADS, |counts| counts.with_stack(stack)) else {
            continue;
        };
        let mut those = facts
            .threads()
            .filter(|thread| is_known(thread) && hash(thread, facts.frames) == stack)
            .peekable();
        let first = those.peek().copied();
        let (now, before) = (grown.now, grown.before);
        news.push(format!("{} more threads with the same stack than {} ago", now - before, ago(grown)));
        evidence.push(Evidence {
            message: format!("{now} threads with the same stack ({} ago: {before})", ago(grown)),
            thread: first.map(|first| first.tid),
            frame: first.and_then(|first| place(first, facts.frames)),
            ..Evidence::default()
        });
        threads.extend(those.map(|thread| thread.tid));
    }
    (news, evidence, threads)
}

/// Compares the last of the counts with the first one since which the number has not shrunk.
fn grown(past: &[Counts], least: u64, number: impl Fn(&Counts) -> Option<u64>) -> Option<Grown> {
    let (present, earlier) = past.split_last()?;
    let now = number(present)?;
    let mut grown = Grown { now, before: now, ago: Duration::ZERO };
    for counts in earlier.iter().rev() {
        let ago = present.at.saturating_duration_since(counts.at);
        match number(counts) {
            Some(before) if before <= grown.before && ago <= WITHIN => grown = Grown { before, ago, ..grown },
            _ => break,
        }
    }
    let Grown { before, .. } = grown;
    (now - before >= least && now / FACTOR >= before).then_some(grown)
}

fn ago(grown: Grown) -> String {
    uptime(u64::try_from(grown.ago.as_millis()).unwrap_or(u64::MAX))
}

fn plain(number: u64) -> String {
    number.to_string()
}

#[cfg(all(test, not(gmr_units)))]
mod tests;
