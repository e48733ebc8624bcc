//! Escapes data for terminals and logs.

use std::borrow::Cow;

/// Escapes everything that a terminal would interpret or break a line at: control characters (C0,
/// DEL, C1), line and paragraph separators, and bidirectional controls. They are shown as `\n`,
/// `\t`, `\u{1b}` and so on.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same for text of several lines: line feeds are kept.
pub(super) fn clean_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_harmful(c))
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
    fn what_a_terminal_would_interpret_is_escaped() {
        assert_eq!(clean("a\u{1b}[31mb\u{9b}c\u{7f}\r\n\t"), "a\\u{1b}[31mb\\u{9b}c\\u{7f}\\r\\n\\t");
        assert_eq!(clean("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
    }

    #[test]
    fn ordinary_text_is_unchanged() {
        let text = "größe = 3 µs, 名前, e\u{301}, \u{1f980}";
        assert!(matches!(clean(text), Cow::Borrowed(same) if same == text));
        assert_eq!(clean_lines("a\nb\r"), "a\nb\\r");
    }
}
