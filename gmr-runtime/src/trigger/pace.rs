//! How soon there is another report about the same thing: what hangs does not change within
//! seconds. It has no clock of its own.

use std::time::{Duration, Instant};

/// After a report, the next one is made no sooner than this, then twice as long, and so on.
const BACK_OFF: Duration = Duration::from_secs(60);
/// Then it is an hour: the reader of a log finds one in it.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(3_600);

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// No report sooner than this, and the time that passed before it.
    last: Option<(Instant, Duration)>,
}

impl Pace {
    /// Whether to request a report `now`. If so, this counts it.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        if self.quiet_until().is_some_and(|until| now < until) {
            return false;
        }
        let back_off = self.last.map_or(BACK_OFF, |(_, last)| (last * 2).min(LONGEST_BACK_OFF));
        self.last = Some((now + back_off, back_off));
        true
    }

    /// No report sooner than this. `None` if there was none.
    pub(super) fn quiet_until(&self) -> Option<Instant> {
        self.last.map(|(until, _)| until)
    }

    /// It is over. When it begins again, there is a report at once.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn reports_get_rarer_until_it_is_over() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let reported: Vec<u64> = (0..100_000).filter(|seconds| pace.admits(at(*seconds))).collect();
        assert_eq!(reported[..7], [0, 60, 180, 420, 900, 1_860, 3_780]);
        assert!(reported.windows(2).all(|pair| pair[1] - pair[0] <= 3_600), "{reported:?}");
        assert!(!pace.admits(at(100_000)));
        pace.reset();
        assert!(pace.admits(at(100_001)));
    }
}
