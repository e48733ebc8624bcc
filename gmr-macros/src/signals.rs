//! The signals that `signal = ..` accepts.
//!
//! Checks only what holds on every Unix, since the program's platform may not be the compiler's.
//! The runtime checks the rest at install. It has a table of its own, for the platform that it runs
//! on; a test of `gmr-tests` compares the two.

use super::suggest;

/// The names that the runtime knows on at least one platform.
pub(crate) const NAMES: [&str; 30] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINFO",
    "SIGINT",
    "SIGIO",
    "SIGKILL",
    "SIGPIPE",
    "SIGPROF",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

const UNCATCHABLE: &str = "cannot be caught";
const FAULT: &str = "signals a fault in the program, which cannot continue after it";

/// The signals that cannot be used, and why. The number is given where it is the same on every
/// Unix.
pub(crate) const REFUSED: [(&str, Option<i32>, &str); 9] = [
    ("SIGKILL", Some(9), UNCATCHABLE),
    ("SIGSTOP", None, UNCATCHABLE),
    ("SIGSEGV", Some(11), FAULT),
    ("SIGILL", Some(4), FAULT),
    ("SIGFPE", Some(8), FAULT),
    ("SIGBUS", None, FAULT),
    ("SIGABRT", Some(6), FAULT),
    ("SIGTRAP", Some(5), FAULT),
    ("SIGSYS", None, FAULT),
];

/// The highest signal number on any Unix on which Rust supports threads.
pub(crate) const HIGHEST: i32 = 128;

/// The signal of this name, with or without `SIG` and in any case, spelled as the runtime expects
/// it. `none` stands for no signal.
///
/// # Errors
/// The message for the user if the signal is unknown or cannot be used.
pub(crate) fn by_name(written: &str) -> Result<String, String> {
    let capitals = written.trim().to_ascii_uppercase();
    if capitals == "NONE" {
        return Ok("none".to_owned());
    }
    if let Ok(number) = capitals.parse() {
        return by_number(number);
    }
    let name = if capitals.starts_with("SIG") { capitals } else { format!("SIG{capitals}") };
    if !NAMES.contains(&name.as_str()) {
        return Err(unknown(written, &name));
    }
    match REFUSED.iter().find(|(refused, ..)| *refused == name) {
        Some((_, _, reason)) => Err(refusal(&name, reason)),
        None => Ok(name),
    }
}

/// The signal of this number, as the runtime expects it.
///
/// # Errors
/// The message for the user if the signal is unknown or cannot be used.
pub(crate) fn by_number(number: i32) -> Result<String, String> {
    if !(1..=HIGHEST).contains(&number) {
        return Err(format!("no signal has the number {number}: use a name, such as `SIGUSR2`"));
    }
    match REFUSED.iter().find(|(_, refused, _)| *refused == Some(number)) {
        Some((name, _, reason)) => Err(refusal(&format!("{name} ({number})"), reason)),
        None => Ok(number.to_string()),
    }
}

fn unknown(written: &str, name: &str) -> String {
    let usable = NAMES.iter().copied().filter(|name| REFUSED.iter().all(|(refused, ..)| refused != name));
    let hint = suggest::closest(name, usable.clone());
    let hint = hint.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    format!("unknown signal `{written}`: {hint}expected `none` or one of {}", suggest::list(usable))
}

fn refusal(name: &str, reason: &str) -> String {
    format!("{name} {reason}: use SIGUSR2, SIGUSR1 or SIGQUIT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_found_by_each_of_its_names() {
        for written in ["SIGUSR2", "USR2", "usr2", "SigUsr2", " SIGUSR2 "] {
            assert_eq!(by_name(written).as_deref(), Ok("SIGUSR2"), "{written:?}");
        }
        assert_eq!(by_name("12").as_deref(), Ok("12"));
        assert_eq!(by_number(40).as_deref(), Ok("40"));
        assert_eq!(by_name("None").as_deref(), Ok("none"));
    }

    #[test]
    fn an_unknown_signal_is_an_error_with_the_usable_ones() {
        let message = by_name("SIGUSR3").unwrap_err();
        assert!(message.contains("did you mean `SIGUSR1`?"), "{message}");
        assert!(message.contains("`SIGQUIT`"), "{message}");
        assert!(!message.contains("SIGKILL"), "suggests a signal that cannot be used: {message}");
        for written in ["", "SIG", "SIGNONSENSE", "ÄÖÜ"] {
            assert!(by_name(written).is_err(), "{written:?}");
        }
        for number in [0, -1, 129] {
            assert!(by_number(number).is_err(), "{number}");
        }
    }

    #[test]
    fn signals_that_cannot_be_used_are_refused_with_the_reason() {
        for (name, number, reason) in REFUSED {
            assert!(by_name(name).unwrap_err().contains(reason), "{name}");
            if let Some(number) = number {
                assert!(by_number(number).unwrap_err().contains(name), "{name}");
            }
        }
    }
}
