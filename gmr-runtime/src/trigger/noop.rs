//! Platforms without Unix signals: the same queue, in which only the program's own requests arrive.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};

use super::Request;

/// The reporter's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    requests: Receiver<Request>,
}

/// Everybody else's end.
#[derive(Debug)]
pub(crate) struct Outbox {
    requests: Sender<Request>,
}

/// Makes the queue; there is no signal to take.
pub(crate) fn open(_signal: Option<i32>) -> io::Result<(Outbox, Inbox)> {
    let (sender, requests) = mpsc::channel();
    Ok((Outbox { requests: sender }, Inbox { requests }))
}

impl Outbox {
    /// Puts a request into the queue. False if there is no reporter any more.
    pub(crate) fn send(&self, request: Request) -> bool {
        self.requests.send(request).is_ok()
    }
}

impl Inbox {
    /// Sleeps until somebody wants a report, and returns all who do by then.
    pub(crate) fn wait(&mut self) -> Vec<Request> {
        let Ok(first) = self.requests.recv() else { return vec![Request::Stop] };
        std::iter::once(first).chain(self.requests.try_iter()).collect()
    }

    /// There is nothing to close.
    pub(crate) fn close(&self) {}
}
