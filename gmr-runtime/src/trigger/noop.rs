//! The inbox on platforms without Unix signals: it receives the program's own requests alone.

use std::io;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

use super::Request;
use crate::sys::channel::{self, Receiver, Sender};

/// The reporter's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    requests: Receiver<Request>,
}

/// The triggers' end.
#[derive(Debug)]
pub(crate) struct Outbox {
    requests: Sender<Request>,
}

/// Makes the inbox. There is no signal to handle.
pub(crate) fn open(_signal: Option<i32>) -> io::Result<(Outbox, Inbox)> {
    let (sender, requests) = channel::channel();
    Ok((Outbox { requests: sender }, Inbox { requests }))
}

/// Makes the inbox of a forked child.
pub(crate) fn open_in_child(_parents: &Outbox, signal: i32) -> io::Result<(Outbox, Inbox)> {
    open(Some(signal))
}

/// Always `None`: on this platform, the action of the signal is not checked.
pub(crate) fn signal_taken_away() -> Option<String> {
    None
}

/// Always `None`, as above.
pub(crate) fn signal_effect(_signal: &str) -> Option<String> {
    None
}

/// Always `None`, as above.
pub(crate) fn signal_shared() -> Option<String> {
    None
}

impl Outbox {
    /// Does nothing: signals that no thread takes are not noticed.
    pub(crate) fn watch_pending(&self, _signal: i32, ready: impl FnOnce()) {
        ready();
    }

    /// Always true: only [`send`](Self::send) tells that the reporter has ended.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn is_open(&self) -> bool {
        true
    }

    /// Sends a request to the reporter. False if the reporter has ended.
    pub(crate) fn send(&self, request: Request) -> bool {
        self.requests.send(request).is_ok()
    }

    /// Nothing watches the reporter.
    pub(crate) fn output_begins(&self) {}

    /// A report has been written to standard error.
    pub(crate) fn output_ended(&self) {
        self.send(Request::Written);
    }
}

impl Inbox {
    /// Waits for a request, and returns all that have arrived.
    pub(crate) fn wait(&mut self, _has_memory: impl Fn() -> bool, until: Option<Instant>) -> Vec<Request> {
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            return match self.requests.recv_timeout(left) {
                Ok(first) => std::iter::once(first).chain(self.requests.try_iter()).collect(),
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => vec![Request::Stop],
            };
        }
        let Some(first) = self.requests.iter().next() else { return vec![Request::Stop] };
        std::iter::once(first).chain(self.requests.try_iter()).collect()
    }

    /// All requests that have arrived.
    pub(crate) fn arrived_by_now(&mut self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }

    /// Nothing watches the reporter.
    pub(crate) fn dismissed(&self, _signals: u64) {}

    /// As above.
    pub(crate) fn begun(&self, _signals: u64) {}

    /// As above.
    pub(crate) fn ended(&self) {}

    /// As above.
    pub(crate) fn waits_for_others(&self) {}

    /// Nothing to close.
    pub(crate) fn close(&mut self) {}
}
