//! Text on standard output and standard error. Data of reports is shown without anything that a
//! terminal interprets.

use std::io::{self, Write as _};

use gmr_runtime::__cli::printable;

/// Writes to standard output. A reader that stops reading, such as `head`, is no error.
pub(crate) fn write(bytes: &[u8]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| format!("could not write to standard output: {error}")),
    }
}

/// Writes a line to standard error. It can quote a file.
pub(crate) fn warn(line: &str) {
    let _ = writeln!(io::stderr(), "gmr-fleet: {}", printable(line));
}

/// `1 report`, `1,940 reports`, `3 batches`
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let ending = match (count, noun.ends_with("ch") || noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{} {noun}{ending}", number(count))
}

/// `1,940`
pub(crate) fn number(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
