//! The counts of the last reports of this process, with which a rule compares those of the next.

use std::sync::Mutex;

use crate::findings::Counts;

/// How many reports are kept: some hundred bytes each.
const MAX_REPORTS: usize = 64;

/// The counts of a process's reports, the earliest first.
struct Past {
    pid: u32,
    reports: Vec<Counts>,
}

static PAST: Mutex<Past> = Mutex::new(Past { pid: 0, reports: Vec::new() });

/// Adds the counts of a report, and returns all of them.
pub(super) fn add(counts: Counts) -> Vec<Counts> {
    // Another thread holds the lock only if the process was forked at that moment.
    let Ok(mut past) = PAST.try_lock() else { return vec![counts] };
    let pid = std::process::id();
    if past.pid != pid {
        // A child has other threads than its parent.
        *past = Past { pid, reports: Vec::new() };
    }
    push(&mut past.reports, counts);
    past.reports.clone()
}

/// Where there is no space, every second report is dropped, so that the first ones are kept.
fn push(reports: &mut Vec<Counts>, counts: Counts) {
    if reports.len() == MAX_REPORTS {
        let mut is_kept = false;
        reports.retain(|_| {
            is_kept = !is_kept;
            is_kept
        });
    }
    reports.push(counts);
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn early_reports_are_kept_and_their_number_is_bounded() {
        let (mut reports, all): (Vec<Counts>, Vec<Counts>) =
            (Vec::new(), (0..1_000).map(|_| crate::findings::count_all(&[], &[])).collect());
        for counts in &all {
            push(&mut reports, counts.clone());
            assert!(reports.len() <= MAX_REPORTS);
        }
        assert_eq!(reports.first(), all.first());
        assert_eq!(reports.last(), all.last());
        assert!(reports.is_sorted_by_key(|counts| counts.at));
    }
}
