//! Text into memory that is already there.

use std::fmt;

use crate::sinks::Stderr;

/// Text for standard error, a buffer at a time.
pub(super) struct Output<'a> {
    stderr: &'a mut Stderr,
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(stderr: &'a mut Stderr, buffer: &'a mut [u8]) -> Self {
        Self { stderr, buffer, length: 0 }
    }

    pub(super) fn flush(&mut self) {
        self.stderr.write(&self.buffer[..self.length]);
        self.length = 0;
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.length == self.buffer.len() {
                self.flush();
            }
            let space = &mut self.buffer[self.length..];
            let (now, later) = rest.split_at(rest.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            self.length += now.len();
            rest = later;
        }
        Ok(())
    }
}
