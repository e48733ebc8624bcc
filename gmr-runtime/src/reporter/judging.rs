//! Has the findings computed. A rule that panics takes no report with it, also where panics abort.
//!
//! There, a panic never returns: gmr's hook parks its thread forever. So that this is not the
//! reporter, the rules run on another thread.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::past;
use crate::capture;
use crate::findings::{self, Counts, Seen, Suspects};
use crate::model::{Finding, Frame, Section};
use crate::sys::{channel, own_threads};

/// How long a rule may take on a thread that it may have parked. All rules together take a few
/// milliseconds.
const WITHIN: Duration = Duration::from_secs(2);

/// What rules read.
type Known = (Vec<Section>, Vec<Frame>);

/// The findings in these sections and frames, which are returned as they are. `look` takes
/// the second look, and looks up other ends of connections.
pub(super) fn judge(known: Known, look: impl FnOnce(&Suspects) -> Seen) -> (Known, Vec<Finding>) {
    if cfg!(panic = "unwind") {
        let (sections, frames) = &known;
        let seen = look(&findings::suspects(sections, frames));
        let past = past::add(findings::count_all(sections, frames));
        let findings = findings::find(sections, frames, &seen, &past);
        return (known, findings);
    }
    let known = Arc::new(known);
    let suspects = elsewhere(1, &known, WITHIN, |_, (sections, frames)| findings::suspects(sections, frames));
    let seen = look(&suspects.into_iter().flatten().next().unwrap_or_default());
    let counts = elsewhere(1, &known, WITHIN, |_, (sections, frames)| findings::count_all(sections, frames));
    let past = past::add(counts.into_iter().flatten().next().unwrap_or(Counts::none()));
    let found = elsewhere(findings::COUNT, &known, WITHIN, move |rule, (sections, frames)| {
        findings::find_by(rule, sections, frames, (&seen, &past))
    });
    let failed =
        || vec![findings::failed("a rule panicked or did not end, and finds nothing in this report")];
    let findings = found.into_iter().flat_map(|found| found.unwrap_or_else(failed)).collect();
    // A thread that is parked keeps what it reads.
    let known = Arc::try_unwrap(known).unwrap_or_else(|known| Known::clone(&known));
    (known, findings::in_order(findings))
}

/// Calls `compute` with each number below `count`, on another thread. Returns nothing for a number
/// with which it has not returned in time. The next ones are then computed on a new thread.
fn elsewhere<K, T>(
    count: usize,
    known: &Arc<K>,
    within: Duration,
    compute: impl Fn(usize, &K) -> T + Send + Sync + 'static,
) -> Vec<Option<T>>
where
    K: Send + Sync + 'static,
    T: Send + 'static,
{
    let compute = Arc::new(compute);
    let mut results = Vec::with_capacity(count);
    while results.len() < count {
        let (sender, receiver) = channel::channel();
        let (known, compute, first) = (Arc::clone(known), Arc::clone(&compute), results.len());
        let run = move || {
            // It sends until the receiver has given up.
            let _ = (first..count).try_for_each(|number| sender.send(compute(number, &known)));
            // Before the receiver learns that it has ended.
            drop((known, compute));
            drop(sender);
        };
        let started = own_threads::spawn_or_run("gmr findings", || capture::shield_thread(None), run);
        let error = loop {
            match receiver.recv_timeout(if started.is_ok() { within } else { Duration::ZERO }) {
                Ok(result) => results.push(Some(result)),
                Err(error) => break error,
            }
        };
        match error {
            RecvTimeoutError::Timeout if results.len() < count => results.push(None),
            // Without memory for a thread, there is none for the next one either.
            RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => {
                results.resize_with(count, || None);
            }
        }
    }
    results
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_does_not_return_is_left_out() {
        let known = Arc::new(vec![7, 8, 9]);
        let compute = |number: usize, known: &Vec<u64>| {
            // As the hook does where panics abort.
            if number == 1 {
                loop {
                    thread::park();
                }
            }
            known[number]
        };
        let results = elsewhere(3, &known, Duration::from_secs(1), compute);
        assert_eq!(results, [Some(7), None, Some(9)]);
    }

    #[test]
    fn what_returns_is_there_in_order_and_nothing_is_kept() {
        let known = Arc::new(vec![7, 8, 9]);
        let results = elsewhere(3, &known, Duration::from_mins(1), |number, known: &Vec<u64>| known[number]);
        assert_eq!(results, [Some(7), Some(8), Some(9)]);
        assert_eq!(Arc::strong_count(&known), 1);
    }

    #[test]
    fn a_fault_of_all_rules_leaves_the_sections() {
        let section =
            Section { title: "Cache".to_owned(), took_us: 0, content: crate::model::Content::Nothing };
        let (known, findings) = judge((vec![section.clone()], Vec::new()), |suspects| {
            assert!(suspects.at_rest.is_empty());
            Seen::default()
        });
        assert_eq!(known, (vec![section], Vec::new()));
        assert_eq!(findings, []);
    }
}
