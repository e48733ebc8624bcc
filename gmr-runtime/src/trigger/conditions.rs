//! Conditions that are looked at again and again. While one holds, it requests a report, and others
//! one, two, four minutes later and so on. What a condition is about is known elsewhere.

use std::time::{Duration, Instant};

use super::pace::Pace;
use super::{Event, automatic};
use crate::sys;

/// Something that is looked at.
pub(crate) struct Condition {
    /// The option that asks for it.
    pub(crate) option: &'static str,
    pub(crate) every: Duration,
    /// What is wrong, if the condition holds. It is passed by how much the look is late: the
    /// process may have been stopped. It must not wait for anything.
    pub(crate) check: Check,
}

pub(crate) type Check = Box<dyn FnMut(Duration) -> Option<Problem> + Send>;

/// How many threads make a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnThreads {
    /// No number of them.
    #[default]
    Off,
    /// This many threads of the process, gmr's own included.
    Count(u32),
    /// This share, in percent, of the processes and threads that a cgroup may have (`pids.max`),
    /// used by all that are in it.
    Percent(u8),
}

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) cause: String,
    /// The thread that it is about, if it is about one.
    pub(crate) thread: Option<u32>,
    /// The task.
    pub(crate) task: Option<u64>,
}

impl From<String> for Problem {
    fn from(cause: String) -> Self {
        Self { cause, thread: None, task: None }
    }
}

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
            match problem {
                None => pace.reset(),
                Some(Problem { cause, thread, task }) if pace.admits(now) => {
                    let event = Event::automatic(condition.option, cause);
                    automatic::request(Event { thread, task, ..event });
                }
                Some(_) => {}
            }
        }
    }
}
