//! Reports that gmr requests by itself, for an option. It decides nothing: what has happened is
//! known elsewhere.

use std::sync::OnceLock;
use std::time::Duration;

use super::reply::{self, wait_within};
use super::{Event, Request};

/// What the installation has that this needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Installation {
    /// Sends a request to the reporter. False if there is none in this process.
    pub(crate) send: fn(Request) -> bool,
    /// Whether there is a reporter in this process.
    pub(crate) is_here: fn() -> bool,
    /// What a thread of gmr's does first.
    pub(crate) prepare_thread: fn(),
}

static INSTALLATION: OnceLock<Installation> = OnceLock::new();

/// Has requests sent to the reporter from now on.
pub(crate) fn connect(installation: Installation) {
    let _ = INSTALLATION.set(installation);
}

/// Whether gmr has been installed, in this process or in one that it was forked from.
pub(super) fn is_connected() -> bool {
    INSTALLATION.get().is_some()
}

/// Whether gmr is installed in this process.
pub(super) fn is_installed() -> bool {
    INSTALLATION.get().is_some_and(|installation| (installation.is_here)())
}

/// What a thread of gmr's does first.
pub(super) fn prepare_thread() {
    if let Some(installation) = INSTALLATION.get() {
        (installation.prepare_thread)();
    }
}

/// Requests a report. False if gmr is not installed in this process.
pub(crate) fn request(event: Event) -> bool {
    INSTALLATION.get().is_some_and(|installation| (installation.send)(Request::Event(event)))
}

/// Requests a report, and waits until it has been written, or it is known that none will be, but no
/// longer than `within`.
pub(crate) fn request_and_wait(mut event: Event, within: Duration) {
    let (reply, answer) = reply::channel();
    event.written.push(reply);
    if request(event) {
        wait_within(answer, within);
    }
}
