//! Asks the process for looks, on a thread of its own: keys have their effect meanwhile. From time to
//! time it asks for a whole report instead, which costs the process more, and has findings.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use gmr_runtime::Report;

use crate::report::Looker;

/// How old findings become, if looks are more frequent.
const WHOLE_EVERY: Duration = Duration::from_secs(5);

/// A report, and when it came.
pub(super) struct Came {
    pub(super) report: Report,
    pub(super) at: Instant,
    /// Whether it has more than threads and tasks.
    pub(super) is_whole: bool,
}

/// What asking has led to.
pub(super) enum Asked {
    Came(Box<Came>),
    /// None has come this time.
    Failed(String),
    /// None will come any more.
    Ended(String),
}

pub(super) struct Asker {
    looker: Looker,
    /// When it asked for the last whole report.
    whole_at: Instant,
}

impl Asker {
    /// Asks for the first report, a whole one.
    ///
    /// # Errors
    /// None has come, for this reason.
    pub(super) fn new(looker: Looker) -> Result<(Self, Came), String> {
        let whole_at = Instant::now();
        let report = looker.whole()?;
        Ok((Self { looker, whole_at }, Came { report, at: Instant::now(), is_whole: true }))
    }

    /// # Errors
    /// None has come, for this reason.
    fn ask(&mut self) -> Result<Came, String> {
        let is_whole = self.whole_at.elapsed() >= WHOLE_EVERY;
        let report = if is_whole {
            self.whole_at = Instant::now();
            self.looker.whole()?
        } else {
            self.looker.look()?
        };
        Ok(Came { report, at: Instant::now(), is_whole })
    }

    /// Asks once for each request, and hands over what it has led to.
    pub(super) fn start(mut self, answer: impl Fn(Asked) + Send + 'static) -> Sender<()> {
        let (requests, requested) = channel();
        thread::spawn(move || {
            for () in requested {
                answer(match self.ask() {
                    Ok(came) => Asked::Came(Box::new(came)),
                    Err(_) if self.looker.target().has_ended() => {
                        Asked::Ended(format!("process {} has ended", self.looker.target().pid()))
                    }
                    Err(reason) => Asked::Failed(reason),
                });
            }
        });
        requests
    }
}
