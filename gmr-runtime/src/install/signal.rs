//! The signal that requests reports: which it is, and having it handled.

use std::io;

use super::{Installed, warn};
use crate::error::{self, Error};
use crate::trigger::signals_by_name::{self, Signal};
use crate::trigger::{self, Inbox, Outbox};
use crate::{capture, env};

/// The report signal: that of `GMR_SIGNAL`, or else the program's.
pub(super) fn signal(programs: &str) -> Result<Signal, Error> {
    match env::signal().map(|text| signals_by_name::find(&text)) {
        Some(Ok(operators)) => Ok(operators),
        // Without a handler, the program's signal would terminate the process.
        Some(Err(error)) => {
            let signal = signals_by_name::find(programs)?;
            warn(&format!("GMR_SIGNAL: {error}; using {}", signal.name));
            Ok(signal)
        }
        None => signals_by_name::find(programs),
    }
}

/// Has the signal handled. If that fails and the operator has chosen the signal, has the program's
/// handled instead: the C library reserves some signals for itself.
pub(super) fn open(
    wanted: Signal,
    programs: &str,
    parents: Option<&Installed>,
) -> Result<(Signal, Outbox, Inbox), Error> {
    let error = match handle(&wanted, parents) {
        Ok((outbox, inbox)) => return Ok((wanted, outbox, inbox)),
        Err(error) => error,
    };
    let signal = signals_by_name::find(programs)?;
    if signal == wanted {
        return Err(error);
    }
    warn(&format!("GMR_SIGNAL: {}; using {}", error::chain(&error), signal.name));
    let (outbox, inbox) = handle(&signal, parents)?;
    Ok((signal, outbox, inbox))
}

fn no_capture_signal(error: io::Error) -> Error {
    Error::system("could not handle a signal to take stacks with", error)
}

/// `parents` is the installation of the process that this one was forked from, if it had one.
pub(super) fn handle(signal: &Signal, parents: Option<&Installed>) -> Result<(Outbox, Inbox), Error> {
    capture::prepare(Some(signal.number)).map_err(no_capture_signal)?;
    let opened = match parents.filter(|parents| parents.settings.signal == *signal) {
        Some(parents) => trigger::open_in_child(&parents.outbox, signal.number),
        None => trigger::open(Some(signal.number)),
    };
    opened.map_err(|error| Error::system(&format!("could not handle {}", signal.name), error))
}
