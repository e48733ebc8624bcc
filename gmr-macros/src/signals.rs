//! Which signals can ask for reports, as far as that is known before the program runs.
//!
//! The compiler that runs this code may not run on the platform that the program is for, so only what is true of every
//! Unix is judged here; the runtime judges the rest when it is installed.

use crate::suggest;

/// The names that the runtime knows on at least one platform.
const NAMES: [&str; 30] = [
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

const UNCATCHABLE: &str = "cannot be caught by any program";
const FAULT: &str = "tells of a fault of the program itself, after which there is nothing to carry on with";

/// Those that cannot ask for reports, and why. A number stands with those that have the same one on every Unix.
const REFUSED: [(&str, Option<i32>, &str); 9] = [
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

/// No Unix that Rust has threads on numbers its signals higher.
const HIGHEST: i32 = 128;

/// The signal of this name, with or without `SIG`, in capitals or not; spelt as the runtime wants it.
///
/// # Errors
/// What is wrong with it, for the user.
pub(crate) fn by_name(written: &str) -> Result<String, String> {
    let capitals = written.trim().to_ascii_uppercase();
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

/// The signal of this number, as the runtime wants it.
///
/// # Errors
/// What is wrong with it, for the user.
pub(crate) fn by_number(number: i32) -> Result<String, String> {
    if !(1..=HIGHEST).contains(&number) {
        return Err(format!("no signal has the number {number}: name one, such as `SIGUSR2`"));
    }
    match REFUSED.iter().find(|(_, refused, _)| *refused == Some(number)) {
        Some((name, _, reason)) => Err(refusal(&format!("{name} ({number})"), reason)),
        None => Ok(number.to_string()),
    }
}

fn unknown(written: &str, name: &str) -> String {
    let takeable = NAMES.iter().copied().filter(|name| REFUSED.iter().all(|(refused, ..)| refused != name));
    let meant = suggest::closest(name, takeable.clone());
    let meant = meant.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    format!("unknown signal `{written}`: {meant}known are {}", suggest::list(takeable))
}

fn refusal(name: &str, reason: &str) -> String {
    format!("{name} {reason}: take SIGUSR2, SIGUSR1 or SIGQUIT")
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
    }

    #[test]
    fn an_unknown_one_is_answered_with_the_known_ones() {
        let message = by_name("SIGUSR3").unwrap_err();
        assert!(message.contains("did you mean `SIGUSR1`?"), "{message}");
        assert!(message.contains("`SIGQUIT`"), "{message}");
        assert!(!message.contains("SIGKILL"), "a signal that would be refused next: {message}");
        for written in ["", "SIG", "SIGNONSENSE", "ÄÖÜ"] {
            assert!(by_name(written).is_err(), "{written:?}");
        }
        for number in [0, -1, 129] {
            assert!(by_number(number).is_err(), "{number}");
        }
    }

    #[test]
    fn those_that_cannot_ask_for_reports_are_refused_with_the_reason() {
        for (name, number, reason) in REFUSED {
            assert!(by_name(name).unwrap_err().contains(reason), "{name}");
            if let Some(number) = number {
                assert!(by_number(number).unwrap_err().contains(name), "{name}");
            }
        }
    }
}
