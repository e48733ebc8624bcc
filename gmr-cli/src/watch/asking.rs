//! Asks the process for reports, on a thread of its own: keys have their effect meanwhile.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use gmr_runtime::Report;

use crate::report::{Target, ask};

/// A report, and when it came.
pub(super) struct Came {
    pub(super) report: Report,
    pub(super) at: Instant,
}

/// What asking has led to.
pub(super) enum Asked {
    Came(Box<Came>),
    /// None has come this time.
    Failed(String),
    /// None will come any more.
    Ended(String),
}

impl Came {
    /// # Errors
    /// None has come, for this reason.
    pub(super) fn ask(target: &Target, without_tasks: bool) -> Result<Self, String> {
        Ok(Self { report: ask(target, without_tasks)?, at: Instant::now() })
    }
}

/// Asks once for each request, and hands over what it has led to.
pub(super) fn start(
    target: Target,
    without_tasks: bool,
    answer: impl Fn(Asked) + Send + 'static,
) -> Sender<()> {
    let (requests, requested) = channel();
    thread::spawn(move || {
        for () in requested {
            answer(match Came::ask(&target, without_tasks) {
                Ok(came) => Asked::Came(Box::new(came)),
                Err(_) if target.has_ended() => Asked::Ended(format!("process {} has ended", target.pid())),
                Err(reason) => Asked::Failed(reason),
            });
        }
    });
    requests
}
