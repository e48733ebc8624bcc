//! The text of the report, in memory that is already there, and on its way to standard error.

use std::fmt;
use std::time::{Duration, Instant};

use crate::sinks::Stderr;
use crate::sys::linux::fatal_signal;

/// How long no byte may go out before the rest is not written to standard error: a crash must not
/// wait for a reader that has stopped.
const STALLED: Duration = Duration::from_millis(50);
/// How much memory there is. The stack of a thread takes 2 KiB on average.
pub(super) const SIZE: usize = 1 << 20;
/// What has to be left for a thread to be shown: more than one thread, and all modules after it,
/// take.
const ROOM: usize = 256 << 10;

/// The text. It is kept, so that it can also be written to a file.
pub(super) struct Output<'a> {
    stderr: &'a mut Stderr,
    buffer: &'a mut [u8],
    length: usize,
    /// How much of it was written.
    flushed: usize,
    until: Instant,
}

impl<'a> Output<'a> {
    /// Writes until then.
    pub(super) fn new(stderr: &'a mut Stderr, buffer: &'a mut [u8], until: Instant) -> Self {
        Self { stderr, buffer, length: 0, flushed: 0, until }
    }

    /// Whether there is space for one more thread.
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() - self.length > ROOM
    }

    pub(super) fn all(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// Writes what was not written yet. A crash must not wait for a reader that has stopped: if no
    /// byte goes out for a while, the rest is not written.
    pub(super) fn flush(&mut self) {
        let pending = &self.buffer[self.flushed..self.length];
        if !pending.is_empty() && self.stderr.write_within(pending, STALLED, self.until) {
            fatal_signal::has_written();
        }
        self.flushed = self.length;
    }
}

impl fmt::Write for Output<'_> {
    /// Never fails. What does not fit is left out.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let space = &mut self.buffer[self.length..];
        let fitting = text.len().min(space.len());
        space[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
        self.length += fitting;
        Ok(())
    }
}
