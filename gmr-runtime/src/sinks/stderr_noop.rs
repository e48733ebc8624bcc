//! Descriptor 2 on platforms other than Unix: std's stderr, without its lock being held for longer than one write.

use std::io::Write;

/// The sink.
#[derive(Debug, Default)]
pub(crate) struct Stderr {
    lost: u64,
}

impl Stderr {
    /// Writes all of it, or counts what could not be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if std::io::stderr().write_all(bytes).is_err() {
            self.lost += bytes.len() as u64;
        }
    }

    /// How many bytes were lost since this was last asked, and why.
    pub(crate) fn take_loss(&mut self) -> Option<(u64, String)> {
        let lost = std::mem::take(&mut self.lost);
        (lost > 0).then(|| (lost, "it could not be written to".to_owned()))
    }
}
