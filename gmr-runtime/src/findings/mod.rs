//! What is wrong, or may be: rules over the model of a report.
//!
//! Each rule is a file. A rule sees the sections and nothing else: it reads no file, asks no
//! thread, and says no more than the sections say. What it finds names its evidence by id.

mod blocked_worker;
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

/// What the rules find in these sections, the worst first.
pub(crate) fn find(sections: &[Section], frames: &[Frame]) -> Vec<Finding> {
    const RULES: [fn(&Facts<'_>) -> Vec<Finding>; 8] = [
        failed_section::find,
        blocked_worker::find,
        not_polled::find,
        lock_wait::find,
        uninterruptible::find,
        missing_stack::find,
        running::find,
        longest_wait::find,
    ];
    let facts = Facts { sections, frames };
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&facts)).collect();
    // Stable, so that findings of one severity keep the order of the rules.
    findings.sort_by_key(|finding| finding.severity);
    findings
}

#[cfg(test)]
mod tests;
