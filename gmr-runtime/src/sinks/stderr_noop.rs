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

    /// How many bytes were lost since the last call, and why.
    pub(crate) fn take_loss(&mut self) -> Option<(u64, String)> {
        let lost = std::mem::take(&mut self.lost);
        (lost > 0).then(|| (lost, "write failed".to_owned()))
    }
}
