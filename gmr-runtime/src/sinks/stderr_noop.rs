//! Standard error on platforms other than Unix: std's, whose lock is held for one write at a time.
//! Writes have no deadline.

use std::io::Write;

/// The sink.
#[derive(Debug, Default)]
pub(crate) struct Stderr {
    lost: u64,
}

impl Stderr {
    /// The sink.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Writes all of `bytes`, or counts them as lost.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if std::io::stderr().write_all(bytes).is_err() {
            self.lost += bytes.len() as u64;
        }
    }

    /// Begins a report.
    pub(crate) fn begin(&mut self) {
        self.lost = 0;
    }

    /// How many bytes of the report were lost, and why.
    pub(crate) fn loss(&self) -> Option<(u64, String)> {
        (self.lost > 0).then(|| (self.lost, "write failed".to_owned()))
    }

    /// The same sink: threads have no descriptor tables of their own.
    pub(crate) fn attach(&mut self) -> &mut Self {
        self
    }
}
