//! Detects problems: rules over the sections of a report.
//!
//! Each rule is a file. A rule reads the sections and nothing else: no files, no threads. Its
//! message claims no more than the sections show, and it names the threads, tasks and section
//! concerned.

mod blocked_worker;
mod cut_stack;
mod facts;
mod failed_section;
mod lock_wait;
mod longest_wait;
mod missing_stack;
mod not_polled;
mod running;
mod uninterruptible;

use self::facts::Facts;
use crate::model::{Finding, Frame, Section};
use crate::sys::sort;

/// The findings in these sections, the most severe first.
pub(crate) fn find(sections: &[Section], frames: &[Frame]) -> Vec<Finding> {
    const RULES: [fn(&Facts<'_>) -> Vec<Finding>; 9] = [
        failed_section::find,
        blocked_worker::find,
        not_polled::find,
        lock_wait::find,
        uninterruptible::find,
        missing_stack::find,
        cut_stack::find,
        running::find,
        longest_wait::find,
    ];
    let facts = Facts { sections, frames };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&facts)).collect();
    // Stable: findings of the same severity keep the order of the rules.
    sort::by_key(&mut findings, |finding| finding.severity);
    findings
}

#[cfg(test)]
mod tests;
