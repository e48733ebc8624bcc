//! The signal that requests reports: which it is, and having it handled.

use std::io;

use super::warning::warn;
use crate::error::{self, Error};
use crate::trigger::signals_by_name::{self, Signal};
use crate::trigger::{self, Inbox, Outbox};
use crate::{capture, env};

/// What the process has that this one was forked from.
#[derive(Clone, Copy)]
pub(super) struct Parents<'a> {
    pub(super) signal: Option<&'a Signal>,
    pub(super) outbox: &'a Outbox,
}

/// The report signal: that of `GMR_SIGNAL`, or else the program's. `None` if there is to be none.
pub(super) fn signal(programs: &str) -> Result<Option<Signal>, Error> {
    match env::signal().map(|text| find(&text)) {
        Some(Ok(operators)) => Ok(operators),
        // Without a handler, the program's signal would terminate the process.
        Some(Err(error)) => {
            let signal = find(programs)?;
            warn(&format!("GMR_SIGNAL: {error}; using {}", name(signal.as_ref())));
            Ok(signal)
        }
        None => find(programs),
    }
}

fn find(text: &str) -> Result<Option<Signal>, Error> {
    if signals_by_name::is_none(text) { Ok(None) } else { signals_by_name::find(text).map(Some) }
}

fn name(signal: Option<&Signal>) -> &str {
    signal.map_or("no signal", |signal| &signal.name)
}

/// Has the signal handled. If that fails and the operator has chosen the signal, has the program's
/// handled instead: the C library reserves some signals for itself.
pub(super) fn open(
    wanted: Option<Signal>,
    programs: &str,
    parents: Option<Parents<'_>>,
) -> Result<(Option<Signal>, Outbox, Inbox), Error> {
    let error = match handle(wanted.as_ref(), parents) {
        Ok((outbox, inbox)) => return Ok((wanted, outbox, inbox)),
        Err(error) => error,
    };
    let signal = find(programs)?;
    if signal == wanted {
        return Err(error);
    }
    warn(&format!("GMR_SIGNAL: {}; using {}", error::chain(&error), name(signal.as_ref())));
    let (outbox, inbox) = handle(signal.as_ref(), parents)?;
    Ok((signal, outbox, inbox))
}

fn no_capture_signal(error: io::Error) -> Error {
    Error::system("could not handle a signal to take stacks with", error)
}

/// `parents` is the installation of the process that this one was forked from, if it had one.
pub(super) fn handle(
    signal: Option<&Signal>,
    parents: Option<Parents<'_>>,
) -> Result<(Outbox, Inbox), Error> {
    let number = signal.map(|signal| signal.number);
    capture::prepare(number).map_err(no_capture_signal)?;
    let of_parent = parents.filter(|parents| parents.signal == signal);
    let opened = match (of_parent, number) {
        (Some(parents), Some(number)) => trigger::open_in_child(parents.outbox, number),
        _ => trigger::open(number),
    };
    opened.map_err(|error| Error::system(&format!("could not handle {}", name(signal)), error))
}
