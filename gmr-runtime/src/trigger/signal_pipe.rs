//! The report signal, and the inbox that it shares with the program's own requests, on Unix systems
//! other than Linux.
//!
//! The handler is signal-hook's: it copies the siginfo into a slot and writes a byte into a socket
//! pair. A byte in the same socket pair wakes the reporter for the program's own requests, so that
//! one thread waits for both on one descriptor.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::raw::WithRawSiginfo;

use super::Request;
use crate::model;
use crate::sys;
use crate::sys::channel::{self, Receiver, Sender};

/// The reporter's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    delivery: SignalDelivery<UnixStream, WithRawSiginfo>,
    requests: Receiver<Request>,
}

/// The triggers' end.
#[derive(Debug)]
pub(crate) struct Outbox {
    wake: UnixStream,
    requests: Sender<Request>,
}

/// Makes the inbox, and has `signal` delivered to it.
///
/// # Errors
/// The operating system refused the descriptors or the handler.
pub(crate) fn open(signal: Option<i32>) -> io::Result<(Outbox, Inbox)> {
    let (read, write) = UnixStream::pair()?;
    let wake = write.try_clone()?;
    // A full socket holds enough wakes. A trigger must not wait until the reporter has read them.
    wake.set_nonblocking(true)?;
    let delivery = SignalDelivery::with_pipe(read, write, WithRawSiginfo, signal)?;
    let (sender, requests) = channel::channel();
    Ok((Outbox { wake, requests: sender }, Inbox { delivery, requests }))
}

/// Makes the inbox of a forked child, as [`open`] does.
///
/// # Errors
/// Like [`open`].
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
        let sent = self.requests.send(request).is_ok();
        // The only likely failure is a full socket, in which a wake is waiting already.
        let _ = (&self.wake).write(&[1]);
        sent
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
        loop {
            let requests = self.arrived();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if !requests.is_empty() || left.is_some_and(|left| left.is_zero()) {
                return requests;
            }
            let timeout = left.map(|left| Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut fds = [PollFd::new(self.delivery.get_read_mut(), PollFlags::IN)];
            if poll(&mut fds, timeout.as_ref()) == Ok(0) {
                continue;
            }
            match self.delivery.get_read_mut().read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The handler and the outbox hold the other end, so it is closed when no trigger is
                // left. Any other error would recur at once.
                Ok(0) | Err(_) => return vec![Request::Stop],
                Ok(_) => {}
            }
        }
    }

    fn arrived(&mut self) -> Vec<Request> {
        // This drains the socket first: what arrives later leaves a new byte in it.
        let signals =
            self.delivery.pending().map(|info| Request::Signals { count: 1, sender: sender(&info) });
        let mut requests: Vec<Request> = signals.collect();
        requests.extend(self.requests.try_iter());
        requests
    }

    /// All requests that have arrived.
    pub(crate) fn arrived_by_now(&mut self) -> Vec<Request> {
        self.arrived()
    }

    /// Nothing watches the reporter.
    pub(crate) fn dismissed(&self, _signals: u64) {}

    /// As above.
    pub(crate) fn begun(&self, _signals: u64) {}

    /// As above.
    pub(crate) fn ended(&self) {}

    /// As above.
    pub(crate) fn waits_for_others(&self) {}

    /// Handles no more signals. The signal is ignored from now on: with its default action, the
    /// next one would terminate the process.
    pub(crate) fn close(&mut self) {
        self.delivery.handle().close();
    }
}

fn sender(info: &libc::siginfo_t) -> Option<model::Sender> {
    let (pid, uid) = sys::sender(info)?;
    Some(model::Sender { pid, uid, user: None, command: None })
}
