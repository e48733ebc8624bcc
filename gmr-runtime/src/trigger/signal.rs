//! The report signal, and the inbox that it shares with the program's own requests.
//!
//! One thread waits for both, on one futex word: neither needs a descriptor.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use super::{Attached, Request, signals_by_name};
use crate::model;
use crate::sys;
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::report_signal::{
    self, Action, AllSignals, Arrivals, Registration, Replacement, Signals, register,
};

/// How long the reporter sleeps at a time while requests wait for a time. It counts as stuck if it
/// does not move on for three seconds (`emergency`).
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The reporter's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    arrivals: Arc<Arrivals>,
    registration: Option<Registration>,
    requests: Receiver<Request>,
}

/// The triggers' end.
#[derive(Debug)]
pub(crate) struct Outbox {
    arrivals: Arc<Arrivals>,
    /// What the inbox's registration was made with.
    action: Option<Action>,
    requests: Sender<Request>,
}

/// Makes the inbox, and has `signal` delivered to it.
///
/// # Errors
/// The operating system refused the handler.
pub(crate) fn open(signal: Option<i32>) -> io::Result<(Outbox, Inbox)> {
    let arrivals = Arc::new(Arrivals::new());
    let registration = signal.map(|signal| register(signal, &arrivals)).transpose()?;
    Ok(connect(arrivals, registration))
}

/// Makes the inbox of a forked child, which has its parent's action. It does not add another one:
/// signal-hook would wait for handlers that threads of the parent were running at the fork.
///
/// # Errors
/// Like [`open`], if the parent had no action.
pub(crate) fn open_in_child(parents: &Outbox, signal: i32) -> io::Result<(Outbox, Inbox)> {
    let Some(action) = parents.action else { return open(Some(signal)) };
    parents.arrivals.restart();
    Ok(connect(Arc::clone(&parents.arrivals), Some(Registration::of_parent(action))))
}

fn connect(arrivals: Arc<Arrivals>, registration: Option<Registration>) -> (Outbox, Inbox) {
    let (sender, requests) = channel::channel();
    let action = registration.as_ref().map(Registration::action);
    let outbox = Outbox { arrivals: Arc::clone(&arrivals), action, requests: sender };
    (outbox, Inbox { arrivals, registration, requests })
}

/// Why the report signal no longer requests reports. `None` as long as it does.
pub(crate) fn signal_taken_away() -> Option<String> {
    let (signal, replacement) = report_signal::replacement()?;
    let what = match replacement {
        Replacement::Ignored => "ignoring it",
        Replacement::Default => "the default, which ends the process",
        Replacement::Handler => "another handler, which has not called gmr's",
    };
    let name = signals_by_name::name_of(signal);
    Some(format!(
        "{name} no longer requests reports: since gmr was installed, the program or a library has changed \
         its action to {what}; install gmr after that, or choose another signal with GMR_SIGNAL"
    ))
}

/// What a signal does now, in which gmr handles none. `None` if there is no such signal.
pub(crate) fn signal_effect(signal: &str) -> Option<String> {
    let number = signals_by_name::usable(signal)?;
    let effect = match report_signal::effect(number)? {
        Replacement::Default => "now terminates this process",
        Replacement::Ignored => "is ignored",
        Replacement::Handler => "requests no reports",
    };
    Some(format!("{} {effect}", signals_by_name::name_of(number)))
}

/// That the report signal had a handler when gmr was installed. `None` if it had none.
pub(crate) fn signal_shared() -> Option<String> {
    let name = signals_by_name::name_of(report_signal::shared()?);
    Some(format!(
        "{name} had a handler when gmr was installed: a signal calls it, and then requests a report"
    ))
}

impl Outbox {
    /// What has arrived, and how far the reporter is.
    pub(crate) fn arrivals(&self) -> Arc<Arrivals> {
        Arc::clone(&self.arrivals)
    }

    /// Watches for signals that no thread takes, until the reporter ends. The calling thread must
    /// do nothing else. `ready` is called when it has everything that it needs.
    pub(crate) fn watch_pending(&self, signal: i32, ready: impl FnOnce()) {
        self.arrivals.watch_pending(signal, ready);
    }

    /// Whether the reporter takes requests.
    pub(crate) fn is_open(&self) -> bool {
        !self.arrivals.is_closed()
    }

    /// Sends a request to the reporter. False if the reporter has ended.
    pub(crate) fn send(&self, request: Request) -> bool {
        let sent = self.requests.send(request).is_ok();
        self.arrivals.announce();
        sent
    }

    /// The output of a report to standard error begins.
    pub(crate) fn output_begins(&self) {
        self.arrivals.output_begins();
    }

    /// The report has been written.
    pub(crate) fn output_ended(&self) {
        self.arrivals.output_ended();
        self.send(Request::Written);
    }
}

impl Inbox {
    /// Waits for a request, and returns all that have arrived. It does not allocate before there is
    /// one. Signals are left to the thread that watches, if there is one, while `has_memory` says
    /// that there is too little for a report. It returns when it is `until`, too.
    pub(crate) fn wait(&mut self, has_memory: impl Fn() -> bool, until: Option<Instant>) -> Vec<Request> {
        loop {
            // Before looking: what arrives later changes the word, and ends the wait at once.
            let seen = self.arrivals.seen();
            if let Some(registration) = &self.registration {
                registration.take_pending(&self.arrivals);
            }
            if self.arrivals.has_signals() && self.arrivals.is_watched() && !has_memory() {
                self.arrivals.decline();
            }
            let requests = self.arrived();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if !requests.is_empty() || left.is_some_and(|left| left.is_zero()) {
                return requests;
            }
            if left.is_some() {
                // Signals may wait, and the reporter is not stuck.
                self.arrivals.goes_on();
            }
            self.arrivals.wait(seen, left.map(|left| left.min(LOOK_AGAIN)));
        }
    }

    fn arrived(&mut self) -> Vec<Request> {
        let AllSignals { others, own } = self.arrivals.take();
        // Not by those from before the installation.
        if self.arrivals.take_called() {
            report_signal::accept_replacement();
        }
        let mut requests = Vec::new();
        for Signals { count, sender } in [own, others] {
            if count > 0 {
                requests.push(Request::Signals { count, sender: sender.map(described) });
            }
        }
        let attached = self.arrivals.take_attached();
        requests.extend(
            attached.map(|(attach, sender)| {
                Request::Attached(Attached { attach, sender: sender.map(described) })
            }),
        );
        loop {
            match self.requests.try_recv() {
                Ok(request) => requests.push(request),
                Err(TryRecvError::Empty) => return requests,
                // No trigger is left but the signal. Without that, there will be no request.
                Err(TryRecvError::Disconnected) => {
                    if self.registration.is_none() {
                        requests.push(Request::Stop);
                    }
                    return requests;
                }
            }
        }
    }

    /// All requests that have arrived, and signals that are still pending.
    pub(crate) fn arrived_by_now(&mut self) -> Vec<Request> {
        if let Some(registration) = &self.registration {
            registration.handle_pending();
        }
        self.arrived()
    }

    /// Notes that this many signals are not answered.
    pub(crate) fn dismissed(&self, signals: u64) {
        self.arrivals.dismissed(signals);
    }

    /// A report for this many signals begins.
    pub(crate) fn begun(&self, signals: u64) {
        self.arrivals.begun(signals);
    }

    /// The report has ended.
    pub(crate) fn ended(&self) {
        self.arrivals.ended();
    }

    /// The reporter is not stuck: another copy of gmr makes a report, and this one begins after it.
    pub(crate) fn waits_for_others(&self) {
        self.arrivals.goes_on();
    }

    /// Handles no more signals. The signal is ignored from now on: with its default action, the
    /// next one would terminate the process.
    pub(crate) fn close(&mut self) {
        let signal = self.registration.take().map(|registration| registration.signal());
        self.arrivals.close(signal);
    }
}

// If the reporter has not been started, `close` is not called.
impl Drop for Inbox {
    fn drop(&mut self) {
        self.close();
    }
}

fn described((pid, uid): (u32, u32)) -> model::Sender {
    use crate::sys::procfs::Stat;
    use crate::sys::thread_ids;
    use crate::sys::users::UserNames;
    let (user, stat) = sys::with_files(|| {
        // In the `/proc` of another namespace, that id is another process's. Usually the sender has
        // exited by now, as `kill` does.
        let stat = Stat::read(&pid.to_string()).ok().filter(|_| thread_ids::depth() == 0);
        (UserNames::default().name(uid), stat)
    });
    model::Sender { pid, uid, user, command: stat.map(|stat| stat.name) }
}
