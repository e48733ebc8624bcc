//! Warnings while gmr is installed.

use std::io::{self, Write};

/// Prints a warning to standard error. `eprintln!` would panic if that is closed.
pub(crate) fn warn(problem: &str) {
    let _ = writeln!(io::stderr(), "gmr: warning: {problem}");
}
