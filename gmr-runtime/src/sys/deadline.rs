//! Deadlines on the wall clock that are later while the kernel withholds the CPU from this process,
//! because its cgroup has used up its quota. Nothing else moves them.

use std::time::{Duration, Instant};

use super::platform::Throttling;

/// How long to watch whether the quota is used up. Its period is 100 ms by default.
const OBSERVED: Duration = Duration::from_millis(300);
/// How many times longer a deadline gets, at most. A quota below a sixth of a CPU is no reason to
/// wait for minutes.
const MAX_SLOWDOWN: u32 = 6;

/// Tells by how much deadlines are later.
#[derive(Debug)]
pub(crate) struct Slowdown {
    /// What was read first, and when. Nothing is read before a deadline passes.
    first: Option<(Throttling, Instant)>,
    read: fn() -> Option<Throttling>,
    factor: u32,
}

impl Default for Slowdown {
    fn default() -> Self {
        Self { first: None, read: Throttling::read, factor: 1 }
    }
}

/// A limit for a thread that can't read what the kernel shows while it waits: as if the quota that
/// this process has now, if it has one, were always used up.
pub(crate) fn under_quota(limit: Duration) -> Duration {
    under(Throttling::read(), limit)
}

fn under(quota: Option<Throttling>, limit: Duration) -> Duration {
    limit.saturating_mul(quota.map_or(1, |quota| quota.slowdown.clamp(1, MAX_SLOWDOWN)))
}

impl Slowdown {
    /// A limit as it is now.
    pub(crate) fn stretch(&self, limit: Duration) -> Duration {
        limit.saturating_mul(self.factor)
    }

    /// Begins to watch, or looks again. Returns until when to wait, if it is not yet known whether
    /// the kernel withholds the CPU. Without a quota, that is known at once.
    pub(crate) fn look(&mut self) -> Option<Instant> {
        let now = (self.read)()?;
        let (first, since) = *self.first.get_or_insert_with(|| (now, Instant::now()));
        if now.periods > first.periods {
            self.factor = self.factor.max(now.slowdown.clamp(2, MAX_SLOWDOWN));
            return None;
        }
        Some(since + OBSERVED).filter(|until| *until > Instant::now())
    }
}

/// A deadline for waiting.
#[derive(Debug)]
pub(crate) struct Deadline {
    started: Instant,
    limit: Duration,
    slowdown: Slowdown,
    /// Until when to watch whether the deadline is later.
    watched: Option<Instant>,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self { started: Instant::now(), limit, slowdown: Slowdown::default(), watched: None }
    }

    /// When to check [`is_over`](Self::is_over).
    pub(crate) fn at(&self) -> Instant {
        // A limit that is too long for an `Instant` never ends within a report.
        let own = self.started.checked_add(self.slowdown.stretch(self.limit)).unwrap_or_else(far);
        self.watched.map_or(own, |watched| own.max(watched))
    }

    pub(crate) fn left(&self) -> Duration {
        self.at().saturating_duration_since(Instant::now())
    }

    /// Whether it has passed. Moves it if the kernel withholds the CPU.
    pub(crate) fn is_over(&mut self) -> bool {
        if self.left() > Duration::ZERO {
            return false;
        }
        self.watched = self.slowdown.look();
        self.left() == Duration::ZERO
    }
}

/// Later than any deadline of a report.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(60 * 60)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_limit_is_as_much_longer_as_the_quota_is_smaller_than_a_cpu() {
        const LIMIT: Duration = Duration::from_secs(1);
        let seconds = |slowdown| under(Some(Throttling { periods: 0, slowdown }), LIMIT).as_secs();
        assert_eq!(under(None, LIMIT), LIMIT);
        assert_eq!([0, 1, 2, 6, 100].map(seconds), [1, 1, 2, 6, 6]);
    }

    #[test]
    fn without_a_quota_it_ends_on_time() {
        let mut deadline = Deadline::after(Duration::ZERO);
        deadline.slowdown.read = || None;
        assert!(deadline.is_over());
        let mut deadline = Deadline::after(Duration::MAX);
        assert!(!deadline.is_over());
        assert!(deadline.left() > Duration::from_mins(30));
    }

    #[test]
    fn where_the_quota_is_used_up_it_is_later() {
        static PERIODS: AtomicU64 = AtomicU64::new(7);
        let mut deadline = Deadline::after(Duration::from_mins(1));
        deadline.started = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        deadline.slowdown.read =
            || Some(Throttling { periods: PERIODS.load(Ordering::Relaxed), slowdown: 50 });
        // The first look has nothing to compare with.
        assert!(!deadline.is_over());
        assert!(deadline.left() <= OBSERVED);
        PERIODS.fetch_add(1, Ordering::Relaxed);
        deadline.watched = None;
        assert!(!deadline.is_over());
        assert!(deadline.left() > Duration::from_mins(4), "{:?}", deadline.left());
        assert!(deadline.left() <= Duration::from_mins(5), "{:?}", deadline.left());
    }

    #[test]
    fn where_the_quota_is_not_used_up_it_ends() {
        let mut slowdown =
            Slowdown { read: || Some(Throttling { periods: 7, slowdown: 5 }), ..Slowdown::default() };
        assert!(slowdown.look().is_some());
        let (first, since) = slowdown.first.unwrap();
        slowdown.first = Some((first, since.checked_sub(OBSERVED).unwrap()));
        assert_eq!(slowdown.look(), None);
        assert_eq!(slowdown.stretch(OBSERVED), OBSERVED);
    }
}
