//! A text of limited length that needs no allocation: for signal handlers, and for processes in
//! which nothing can be allocated.

use std::fmt;

/// A text that is cut off where it is too long.
pub(crate) struct Short<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Short<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Short<N> {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
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
