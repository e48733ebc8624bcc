//! The triggers of reports: each puts a request into the reporter's inbox. No trigger makes a
//! report itself.

pub(crate) mod automatic;
pub(crate) mod conditions;
pub(crate) mod file;
mod pace;
pub(crate) mod reply;
pub(crate) mod scopes;
#[cfg_attr(all(unix, not(target_os = "linux")), path = "signal_pipe.rs")]
#[cfg_attr(not(unix), path = "noop.rs")]
mod signal;
pub(crate) mod signals_by_name;
mod timers;
mod watch;

use std::sync::Arc;

use reply::Reply;

use crate::model::{self, Report};
use crate::sys::Lasting;
use crate::sys::attach::Attach;
use crate::views::Format;

pub(crate) use signal::{
    Inbox, Outbox, open, open_in_child, signal_effect, signal_shared, signal_taken_away,
};

/// A message to the reporter.
#[derive(Debug)]
pub(crate) enum Request {
    /// Signals have arrived. Those that this process has sent itself are in a separate request.
    Signals {
        count: u64,
        /// The sender of the last one, if the kernel knows it.
        sender: Option<model::Sender>,
    },
    /// Something has happened for which an option requests a report.
    Event(Event),
    /// The command `gmr report` waits for one.
    Attached(Attached),
    /// A thread of the program waits for a report.
    Capture(Reply<Arc<Report>>),
    /// An async task waits for a report.
    Deferred(Deferred),
    /// The deferred replies to the previous report have been sent.
    Replied,
    /// The previous report for a signal has been written, or as much of it as was read in time.
    Written,
    /// No more reports: the guard has been dropped.
    Stop,
}

/// Something for which an option requests a report. The report is written like one for a signal.
#[derive(Debug)]
pub(crate) struct Event {
    /// What the report's heading says: [`model::Trigger::File`] or [`model::Trigger::Automatic`].
    pub(crate) trigger: model::Trigger,
    /// Those who wait. Dropped when the report has been written, or when it is known that none will
    /// be.
    pub(crate) written: Vec<Reply<()>>,
    /// The thread that it is about. The report begins its threads with this one.
    pub(crate) thread: Option<u32>,
    /// The task that it is about. The report begins its tasks with this one.
    pub(crate) task: Option<u64>,
}

impl Event {
    /// An event of the option of this name. There are reports for the first few in an hour only;
    /// others are counted in the next report.
    pub(crate) fn automatic(name: &str, cause: String) -> Self {
        let trigger = model::Trigger::Automatic { name: name.to_owned(), cause, coalesced: 0 };
        Self { trigger, written: Vec::new(), thread: None, task: None }
    }

    /// The same, about this thread.
    pub(crate) fn about(self, thread: u32) -> Self {
        Self { thread: Some(thread), ..self }
    }
}

/// A request of the command `gmr report`, which has come with a signal. Its report is written to a
/// file for the command, and nowhere else.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub(crate) attach: Attach,
    /// The command, if the kernel knows it.
    pub(crate) sender: Option<model::Sender>,
}

/// A request whose reply takes time or wakes an async task, which runs code of the program's
/// runtime. It is answered on a thread other than the reporter's.
#[derive(Debug)]
pub(crate) enum Deferred {
    /// The report as a value.
    Report(Reply<Arc<Report>>),
    /// The report in a format, for an HTTP request.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "HTTP alone requests it"))]
    Rendered(Format, Client, Reply<Rendered>),
}

/// Who has requested a report over HTTP.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    /// The address, if the server passes it on.
    pub(crate) peer: Option<String>,
    /// The path that was requested.
    pub(crate) path: String,
}

/// A report in a format; `None` if its view panicked.
pub(crate) type Rendered = Option<Lasting>;

impl Deferred {
    /// Whether the task still waits.
    pub(crate) fn is_wanted(&self) -> bool {
        match self {
            Self::Report(reply) => reply.is_wanted(),
            Self::Rendered(_, _, reply) => reply.is_wanted(),
        }
    }
}
