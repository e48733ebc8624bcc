//! The text of a report that comes in pieces, line by line.

use std::borrow::Cow;

use gmr_runtime::__cli::printable;

/// Text that comes in pieces, without anything that a terminal would interpret.
#[derive(Default)]
pub(super) struct Lines {
    /// The beginning of a line.
    open: Vec<u8>,
}

/// Where a line without end is cut. Those of gmr are shorter.
const MAX_LINE: usize = 1 << 20;

impl Lines {
    /// The lines that are complete with these bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.open.len() > MAX_LINE {
                shown.append(&mut self.end());
            }
        }
        shown
    }

    /// What is left.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.open);
        let (text, end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, "\n"),
            None => (&*line, ""),
        };
        let text = String::from_utf8_lossy(text);
        let shown: Cow<'_, str> = printable(&text);
        [shown.as_bytes(), end.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = "one\n\u{1b}[31mtwo\u{9b}\n\ngröße\nlast";
        let expected = "one\n\\u{1b}[31mtwo\\u{9b}\n\ngröße\nlast";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut shown: Vec<u8> =
                text.as_bytes().chunks(size).flat_map(|piece| lines.add(piece)).collect();
            shown.extend(lines.end());
            assert_eq!(String::from_utf8(shown).expect("text"), expected, "{size}");
        }
        let mut lines = Lines::default();
        assert_eq!(lines.add(b"a\xff\x1b\n"), "a\u{fffd}\\u{1b}\n".as_bytes());
        let shown = lines.add(&vec![b'x'; MAX_LINE + 2]);
        assert!(shown.len() == MAX_LINE + 2 && lines.open.is_empty(), "a line without end");
    }
}
