//! Conditions that are looked at again and again. While one holds, it requests a report, and others
//! one, two, four minutes later and so on. What a condition is about is known elsewhere.

use std::time::{Duration, Instant};

use super::{Event, automatic};
use crate::sys;

/// After a report, the next one for the same condition is made no sooner than this, then twice as
/// long, and so on.
const BACK_OFF: Duration = Duration::from_secs(60);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(3_600);

/// Something that is looked at.
pub(crate) struct Condition {
    /// The option that asks for it.
    pub(crate) option: &'static str,
    pub(crate) every: Duration,
    /// What is wrong, if the condition holds. It is passed by how much the look is late: the process
    /// may have been stopped. It must not wait for anything.
    pub(crate) check: Check,
}

pub(crate) type Check = Box<dyn FnMut(Duration) -> Option<String> + Send>;

/// Looks at these conditions until gmr is uninstalled.
pub(crate) fn watch(conditions: Vec<Condition>) {
    let start = Instant::now();
    let mut watched: Vec<_> = conditions
        .into_iter()
        .map(|condition| (start + condition.every, Pace::default(), condition))
        .collect();
    while let Some(next) = watched.iter().map(|(due, ..)| *due).min() {
        sys::sleep(next.saturating_duration_since(Instant::now()));
        if !automatic::is_installed() {
            return;
        }
        for (due, pace, condition) in &mut watched {
            let now = Instant::now();
            if *due > now {
                continue;
            }
            let problem = (condition.check)(now - *due);
            *due = now + condition.every;
            if pace.admits(problem.is_some(), now)
                && let Some(cause) = problem
            {
                automatic::request(Event::automatic(condition.option, cause));
            }
        }
    }
}

/// When the next report may be requested.
#[derive(Debug, Default)]
struct Pace {
    quiet_until: Option<Instant>,
    back_off: Option<Duration>,
}

impl Pace {
    /// Whether to request a report `now`, if the condition holds.
    fn admits(&mut self, holds: bool, now: Instant) -> bool {
        if !holds {
            *self = Self::default();
            return false;
        }
        if self.quiet_until.is_some_and(|until| now < until) {
            return false;
        }
        let back_off = self.back_off.map_or(BACK_OFF, |last| (last * 2).min(LONGEST_BACK_OFF));
        (self.quiet_until, self.back_off) = (Some(now + back_off), Some(back_off));
        true
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_holds_is_reported_less_and_less_often() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let mut admits = |holds, seconds| pace.admits(holds, start + Duration::from_secs(seconds));
        let reported: Vec<u64> = (0..100_000).filter(|seconds| admits(true, *seconds)).collect();
        assert_eq!(reported[..7], [0, 60, 180, 420, 900, 1_860, 3_780]);
        assert!(reported.windows(2).all(|pair| pair[1] - pair[0] <= 3_600), "{reported:?}");
        assert!(!admits(false, 100_000));
        assert!(admits(true, 100_001), "it holds again");
    }
}
