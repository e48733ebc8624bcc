//! What can ask for a report, as requests in one queue. No trigger makes a report; the reporter waits here for the next request.

#[cfg_attr(not(unix), path = "noop.rs")]
mod signal;
pub(crate) mod signals_by_name;

use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::model::{self, Report};

pub(crate) use signal::{Inbox, Outbox, open};

/// Somebody wants a report.
#[derive(Debug)]
pub(crate) enum Request {
    /// A signal has arrived.
    Signal {
        /// Who sent it, where the kernel told.
        sender: Option<model::Sender>,
    },
    /// The program asks, and waits for the answer.
    Capture(Sender<Arc<Report>>),
    /// No more reports: the guard was dropped.
    Stop,
}
