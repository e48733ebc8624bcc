//! What is to happen by some time: scopes that are to end, beats that are to come. A list that is
//! asked what is overdue, without a clock of its own.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::Event;
use super::pace::Pace;

/// Who watches wakes up within milliseconds. If that takes this long, the process was stopped, or
/// had no processor: what is overdue may not have had one either, and gets as much time again.
const LATE: Duration = Duration::from_millis(500);

/// How often to look whether the process has begun to shut down. A signal handler cannot wake who
/// watches, and a limit is much longer.
const LOOK_FOR_END: Duration = Duration::from_secs(1);

/// A time that no process lives for.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// When it last beat, and where. A beat changes nothing else.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// In milliseconds since the timer was added.
    pub(crate) at: AtomicU64,
    pub(crate) thread: AtomicU32,
}

/// What is watched.
#[derive(Debug)]
pub(crate) enum Matter {
    /// It is to end by the limit: it is removed then. The thread has begun it. Most end in time, so
    /// nothing is formatted before.
    Scope { name: Cow<'static, str>, limit: Duration, tid: u32, thread: Thread },
    /// The program is to be ready by the limit: it is removed then.
    Start { limit: Duration },
    /// The process is to end in this time after it has begun to terminate. `since` tells for how
    /// long it has.
    End { limit: Duration, since: fn() -> Option<Duration> },
    /// It is to beat once in this time. It is overdue after twice the time: a loop that beats
    /// exactly on time would otherwise be late whenever the machine is busy.
    Beats { name: String, every: Duration, last: Arc<Last> },
}

#[derive(Debug)]
struct Timer {
    id: u64,
    matter: Matter,
    added: Instant,
    /// When to look next.
    due: Instant,
    /// Begins anew with a beat.
    pace: Pace,
    /// Whether the matter was given more time.
    is_postponed: bool,
    /// The last beat that was seen, in milliseconds.
    seen: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    timers: Vec<Timer>,
    last_id: u64,
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self { timers: Vec::new(), last_id: 0 }
    }

    /// Watches something from `now` on, which is overdue after `limit`. Returns its number.
    pub(crate) fn add(&mut self, matter: Matter, limit: Duration, now: Instant) -> u64 {
        self.last_id += 1;
        let due = now + limit.min(NEVER);
        let timer = Timer {
            id: self.last_id,
            matter,
            added: now,
            due,
            pace: Pace::default(),
            is_postponed: false,
            seen: 0,
        };
        self.timers.push(timer);
        self.last_id
    }

    pub(crate) fn remove(&mut self, id: u64) {
        // The last ones end first.
        if let Some(place) = self.timers.iter().rposition(|timer| timer.id == id) {
            self.timers.swap_remove(place);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.timers.clear();
    }

    /// When to look next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.iter().map(|timer| timer.due).min()
    }

    /// The events of what is overdue. `planned` is when this was to be called.
    pub(crate) fn overdue(&mut self, planned: Instant, now: Instant) -> Vec<Event> {
        let late = now.saturating_duration_since(planned);
        self.timers
            .iter_mut()
            .filter(|timer| timer.due <= now)
            .filter_map(|timer| timer.look(late, now))
            .collect()
    }
}

impl Timer {
    fn look(&mut self, late: Duration, now: Instant) -> Option<Event> {
        if let Matter::End { limit, since } = &self.matter {
            let since = since();
            if since.is_none_or(|since| since < *limit) {
                self.due = now + since.map_or(LOOK_FOR_END, |since| limit.saturating_sub(since));
                return None;
            }
            // Once: these are the last words.
            self.due = now + NEVER;
            return Some(self.event(now));
        }
        if let Matter::Beats { every, last, .. } = &self.matter {
            let at = last.at.load(Ordering::Relaxed);
            if at != self.seen {
                self.seen = at;
                self.pace.reset();
                self.is_postponed = false;
            }
            let due = self.added + Duration::from_millis(at) + *every * 2;
            if due > now {
                self.due = due;
                return None;
            }
        }
        if late > LATE && !self.is_postponed {
            self.is_postponed = true;
            self.due = now + late;
            return None;
        }
        let is_admitted = self.pace.admits(now);
        self.due = match &self.matter {
            Matter::Scope { .. } | Matter::Start { .. } | Matter::End { .. } => {
                self.pace.quiet_until().unwrap_or(now + NEVER)
            }
            // It may beat again long before the next report.
            Matter::Beats { every, .. } => now + *every * 2,
        };
        is_admitted.then(|| self.event(now))
    }

    fn event(&self, now: Instant) -> Event {
        match &self.matter {
            Matter::Scope { name, limit, tid, thread } => {
                let on = thread.name().map(|name| format!(" ({name})")).unwrap_or_default();
                let limit = humantime::format_duration(*limit);
                let begun = format!("thread #{tid}{on} has begun it {} ago", seconds(now - self.added));
                Event::automatic("deadline", format!("{name} takes longer than {limit}: {begun}")).about(*tid)
            }
            Matter::Start { limit } => {
                let limit = humantime::format_duration(*limit);
                let since = seconds(now - self.added);
                let cause = format!(
                    "the program is not ready after {limit} (gmr::ready): gmr was installed {since} ago"
                );
                Event::automatic("slow_start", cause)
            }
            Matter::End { since, .. } => {
                let since = seconds(since().unwrap_or_default());
                let what = "it began to shut down (SIGTERM, or gmr::shutting_down)";
                Event::automatic("slow_shutdown", format!("the process has not ended {since} after {what}"))
            }
            Matter::Beats { name, every, last } => {
                let since = (now - self.added).saturating_sub(Duration::from_millis(self.seen));
                let thread = last.thread.load(Ordering::Relaxed);
                let cause = format!(
                    "{name} has not beaten for {}, last on thread #{thread}; it is to beat every {}",
                    seconds(since),
                    humantime::format_duration(*every)
                );
                Event::automatic("heartbeat", cause).about(thread)
            }
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
#[path = "timers/tests.rs"]
mod tests;
