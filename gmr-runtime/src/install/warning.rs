//! Warnings while gmr is installed.

use std::io::{self, Write};

/// Prints a warning to standard error. `eprintln!` would panic if that is closed.
pub(crate) fn warn(problem: &str) {
    let _ = writeln!(io::stderr(), "gmr: warning: {problem}");
}

/// What the operator has chosen. If that cannot be understood, a warning says so.
pub(super) fn operators<T>(chosen: Result<Option<T>, String>) -> Option<T> {
    chosen.unwrap_or_else(|problem| {
        warn(&format!("{problem}; using what the program has chosen"));
        None
    })
}
