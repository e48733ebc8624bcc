//! Signals by name and number: `SIGUSR2`, `USR2`, `usr2`, `12`.

use crate::error::{Error, ErrorKind};

/// A signal that can trigger reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Its number on this platform.
    pub number: i32,
    /// Its name, or `signal 40` if it has none.
    pub name: String,
}

/// The highest signal number of any platform.
const HIGHEST: i32 = 128;

/// The signals that cannot be caught, and those that report a fault of the program itself, after
/// which it cannot continue.
const FORBIDDEN: [&str; 9] =
    ["SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS"];

/// Finds a signal by its name, with or without `SIG`, or by its number.
///
/// # Errors
/// This platform has no such signal, or it cannot trigger reports.
pub fn find(text: &str) -> Result<Signal, Error> {
    let number = number_of(text.trim()).ok_or_else(|| {
        let message =
            format!("unknown signal `{text}`; expected a name such as `SIGUSR2`, a number (real-time signals have numbers only), or `none`");
        Error::new(ErrorKind::UnknownSignal, message)
    })?;
    let signal = Signal { number, name: name_of(number) };
    if is_forbidden(number) {
        let message =
            format!("{} cannot trigger reports; use `SIGUSR2`, `SIGUSR1` or `SIGQUIT`", signal.name);
        return Err(Error::new(ErrorKind::ForbiddenSignal, message));
    }
    Ok(signal)
}

/// Whether this stands for no signal at all.
pub(crate) fn is_none(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("none")
}

/// The number of a signal that [`find`] finds. It does not allocate.
#[cfg(target_os = "linux")]
pub(crate) fn usable(text: &str) -> Option<i32> {
    number_of(text.trim()).filter(|number| !is_forbidden(*number))
}

fn number_of(wanted: &str) -> Option<i32> {
    let number = wanted.parse::<i32>().ok().filter(|number| (1..=highest()).contains(number));
    number.or_else(|| {
        (1..=HIGHEST).find(|&number| {
            named(number).is_some_and(|name| {
                name.eq_ignore_ascii_case(wanted)
                    || name.strip_prefix("SIG").is_some_and(|name| name.eq_ignore_ascii_case(wanted))
            })
        })
    })
}

fn is_forbidden(number: i32) -> bool {
    named(number).is_some_and(|name| FORBIDDEN.contains(&name))
}

/// The name of a signal, or `signal 40` if it has none.
pub(crate) fn name_of(number: i32) -> String {
    named(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}

#[cfg(unix)]
fn named(number: i32) -> Option<&'static str> {
    signal_hook::low_level::signal_name(number)
}

#[cfg(not(unix))]
fn named(number: i32) -> Option<&'static str> {
    // There are no signals to handle here, but the default has to be valid.
    (number == 12).then_some("SIGUSR2")
}

#[cfg(target_os = "linux")]
fn highest() -> i32 {
    libc::SIGRTMAX()
}

#[cfg(not(target_os = "linux"))]
fn highest() -> i32 {
    31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_several_names_and_a_number() {
        for text in ["SIGUSR2", "USR2", "usr2", " SIGUSR2 ", "12"] {
            assert_eq!(find(text).unwrap(), Signal { number: 12, name: "SIGUSR2".into() }, "{text:?}");
        }
        assert_eq!(find("40").unwrap().name, "signal 40");
    }

    #[test]
    fn an_unusable_signal_is_refused_with_the_remedy() {
        for text in ["", "SIGUSR3", "0", "-1", "65", "SIG", "12.0"] {
            let error = find(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownSignal, "{text:?}");
            assert!(error.to_string().contains("SIGUSR2"), "{error}");
        }
        for text in ["KILL", "9", "SIGSTOP", "SEGV"] {
            assert_eq!(find(text).unwrap_err().kind(), ErrorKind::ForbiddenSignal, "{text:?}");
        }
    }
}
