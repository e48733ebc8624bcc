//! What the test programs share: the conversation with the test that started them.
//!
//! A program says `ready` on its standard output when it stands as the test wants it, then answers one line for each line on its standard input, and ends when that is closed.

use std::io::{BufRead, Write};

/// Says `ready`, then answers each line of standard input with what `answer` makes of it.
///
/// # Panics
/// If nobody reads the answers.
pub fn converse(mut answer: impl FnMut(&str) -> String) {
    say("ready");
    for line in std::io::stdin().lock().lines() {
        match line {
            Ok(line) => say(&answer(&line)),
            // Standard input is the test's; whatever happens to it must not end the program early.
            Err(error) => say(&format!("standard input failed: {error}")),
        }
    }
}

/// One line on standard output, at once.
///
/// # Panics
/// If nobody reads it.
pub fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the test reads what its program says");
}
