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

/// A text that is cut off where it is too long.
pub(super) struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Short<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Short<N> {
    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Short<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut end = text.len().min(N - self.length);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text[..end];
        self.bytes[self.length..][..text.len()].copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn a_short_text_is_cut_off_between_characters() {
        let mut text = Short::<5>::default();
        text.write_str("abcdé").unwrap();
        assert_eq!(text.as_str(), "abcd");
        text.write_str("ef").unwrap();
        assert_eq!(text.as_str(), "abcde");
    }
}
