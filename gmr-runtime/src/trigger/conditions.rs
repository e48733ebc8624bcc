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
            match problem {
                None => pace.reset(),
                Some(cause) if pace.admits(now) => {
                    automatic::request(Event::automatic(condition.option, cause));
                }
                Some(_) => {}
            }
        }
    }
}
