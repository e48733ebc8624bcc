//! Text on standard output and standard error. Data of reports is shown without anything that a
//! terminal interprets.

use std::io::{self, Write as _};

use gmr_runtime::__cli::{self, printable};

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
    __cli::counted(count.try_into().unwrap_or(u64::MAX), noun)
}

/// `1,940`
pub(crate) fn number(number: usize) -> String {
    __cli::number(number.try_into().unwrap_or(u64::MAX))
}
