//! Detects problems: rules over the sections of a report.
//!
//! Each rule is a file. A rule reads the sections and nothing else: no files, no threads. Its
//! message claims no more than the sections show, and it names the threads, tasks and section
//! concerned. A rule that has a suspicion can ask for a second look at some threads, which tells
//! whether they have run since the first.

mod about_report;
mod backlog;
mod block_on;
mod blocked_runtime;
mod blocked_worker;
mod blocking_pool;
mod counts;
mod cut_stack;
mod deadlock;
mod disk;
mod facts;
mod failed_section;
mod growth;
mod limits;
mod lock_wait;
mod longest_wait;
mod missing_stack;
mod never_woken;
mod not_polled;
mod past;
mod peers;
mod places;
mod polled_often;
mod polls;
mod ports;
mod pressure;
mod running;
mod same_wait;
mod second_look;
mod spinning;
mod stuck;
mod uninterruptible;
mod zombies;

use self::facts::Facts;
pub(crate) use self::past::Counts;
pub(crate) use self::places::program_frame;
pub(crate) use self::second_look::{PeerProcess, SecondLook, Seen, Suspects};
use crate::model::{Finding, Frame, Section, Severity};
use crate::sys::{own_threads, sort};

/// The threads that a rule wants to be looked at once more, because of a suspicion, and the connections
/// whose other ends it wants to know.
pub(crate) fn suspects(sections: &[Section], frames: &[Frame]) -> Suspects {
    let facts = Facts { sections, frames, second: &SecondLook::NotTaken, peers: &[], past: &[] };
    let mut suspects = Suspects::default();
    // If a rule panics here, it panics again when it is to find something, and is reported then.
    let _ = own_threads::catch(|| {
        suspects.running = spinning::suspects(&facts);
        suspects.at_rest = deadlock::suspects(&facts);
        suspects.at_rest.extend(polls::suspects(&facts));
        suspects.at_rest.extend(uninterruptible::suspects(&facts));
        suspects.connections = lock_wait::connections(&facts);
        suspects.connections.extend(peers::connections(&facts));
    });
    suspects
}

/// Counts what later reports are compared with.
pub(crate) fn count_all(sections: &[Section], frames: &[Frame]) -> Counts {
    let facts = Facts { sections, frames, second: &SecondLook::NotTaken, peers: &[], past: &[] };
    let mut counts = Counts::none();
    let _ = own_threads::catch(|| counts = counts::of(&facts));
    counts
}

const RULES: &[Rule] = &[
    #[cfg(gmr_faulty_rule)]
    faulty,
    deadlock::find,
    failed_section::find,
    blocked_runtime::find,
    blocked_worker::find,
    block_on::find,
    blocking_pool::find,
    not_polled::find,
    backlog::find,
    limits::find,
    disk::find,
    ports::find,
    lock_wait::find,
    same_wait::find,
    never_woken::find,
    polled_often::find,
    uninterruptible::find,
    stuck::find,
    zombies::find,
    missing_stack::find,
    cut_stack::find,
    spinning::find,
    running::find,
    longest_wait::find,
    growth::find,
    peers::find,
    pressure::find,
    about_report::find,
];

/// A rule that panics, for the test that it takes no report with it.
#[cfg(gmr_faulty_rule)]
fn faulty(_: &Facts<'_>) -> Vec<Finding> {
    panic!("a fault of a rule");
}

type Rule = fn(&Facts<'_>) -> Vec<Finding>;

/// How many rules there are.
pub(crate) const COUNT: usize = RULES.len();

/// The findings in these sections, the most severe first. `past` has the counts of earlier reports
/// of this process, and of this one as the last.
pub(crate) fn find(sections: &[Section], frames: &[Frame], seen: &Seen, past: &[Counts]) -> Vec<Finding> {
    in_order((0..COUNT).flat_map(|rule| find_by(rule, sections, frames, (seen, past))).collect())
}

/// The findings by the rule with this number. One that panics takes neither the report nor other
/// findings with it, unless panics abort.
pub(crate) fn find_by(
    rule: usize,
    sections: &[Section],
    frames: &[Frame],
    (seen, past): (&Seen, &[Counts]),
) -> Vec<Finding> {
    let Seen { second, peers } = seen;
    let facts = Facts { sections, frames, second, peers, past };
    RULES.get(rule).map(|rule| apply(*rule, &facts)).unwrap_or_default()
}

/// Sorts the findings by all rules, the most severe first.
pub(crate) fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    // Stable: findings of the same severity keep the order of the rules.
    sort::by_key(&mut findings, |finding| finding.severity);
    findings
}

fn apply(rule: Rule, facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    match own_threads::catch(|| found = rule(facts)) {
        Ok(()) => found,
        Err(message) => {
            vec![failed(&format!("a rule panicked, and finds nothing in this report: {message}"))]
        }
    }
}

/// That a rule finds nothing, because of a fault of its own.
pub(crate) fn failed(message: &str) -> Finding {
    let next = Some("a fault of gmr: please report it".to_owned());
    Finding { next, ..facts::finding("report.rule-failed", Severity::Info, message.to_owned()) }
}

#[cfg(all(test, not(gmr_units)))]
mod tests;
