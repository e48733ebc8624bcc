//! Escapes data for terminals and logs, and cuts it if it is very long.

use std::borrow::Cow;
#[cfg(any(feature = "html", feature = "xml"))]
use std::iter;

/// The most bytes of data on one line. JSON and XML have all of it.
const MAX_DATA: usize = 64 << 10;

/// Escapes everything that a terminal would interpret or break a line at: control characters (C0,
/// DEL, C1), line and paragraph separators, and bidirectional controls. They are shown as `\n`,
/// `\t`, `\u{1b}` and so on.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    clean_within(text, MAX_DATA)
}

/// The same, with at most so many bytes of the text.
pub(super) fn clean_within(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return clean_whole(text);
    }
    let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    format!("{}... ({} more bytes)", clean_whole(&text[..end]), text.len() - end).into()
}

/// The same, however long the text is.
pub(super) fn clean_whole(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same for text of several lines: line feeds are kept.
pub(super) fn clean_lines(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_DATA || text.split('\n').all(|line| line.len() <= MAX_DATA) {
        return escaped(text, |c| c != '\n' && is_harmful(c));
    }
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n").into()
}

/// A text in pieces, for what escapes a text as a whole: that can be many times as long.
#[cfg(any(feature = "html", feature = "xml"))]
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    const PIECE: usize = 4 << 10;
    let mut left = text;
    iter::from_fn(move || {
        let end = (1..=left.len().min(PIECE)).rev().find(|&end| left.is_char_boundary(end))?;
        let (piece, rest) = left.split_at(end);
        left = rest;
        Some(piece)
    })
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    // The common case, which the compiler vectorizes.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if is_plain || !text.chars().any(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}' // line and paragraph separator
            // bidirectional controls
            | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}')
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let long = "ä".repeat(MAX_DATA);
        let shown = format!("{}... ({MAX_DATA} more bytes)", "ä".repeat(MAX_DATA / 2));
        assert_eq!(clean(&long), shown);
        assert_eq!(clean_lines(&format!("a\n{long}\nb\u{7}\n")), format!("a\n{shown}\nb\\u{{7}}\n"));
        assert_eq!(clean_within("äb", 1), "... (3 more bytes)");
        assert_eq!(clean_whole(&long), long);
        let whole = &long[..MAX_DATA];
        assert_eq!((clean(whole), clean_lines(whole)), (whole.into(), whole.into()));
    }

    #[test]
    fn what_a_terminal_would_interpret_is_escaped() {
        assert_eq!(clean("a\u{1b}[31mb\u{9b}c\u{7f}\r\n\t"), "a\\u{1b}[31mb\\u{9b}c\\u{7f}\\r\\n\\t");
        assert_eq!(clean("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
    }

    #[cfg(feature = "html")]
    #[test]
    fn pieces_end_between_characters() {
        let text = format!("a{}", "\u{1f980}".repeat(3000));
        let all: Vec<&str> = pieces(&text).collect();
        assert_eq!(all.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [4093, 4096, 3812]);
        assert_eq!(all.concat(), text);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn ordinary_text_is_unchanged() {
        let text = "größe = 3 µs, 名前, e\u{301}, \u{1f980}";
        assert!(matches!(clean(text), Cow::Borrowed(same) if same == text));
        assert_eq!(clean_lines("a\nb\r"), "a\nb\\r");
    }
}
