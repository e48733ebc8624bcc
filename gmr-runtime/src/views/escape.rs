//! Making data harmless on a terminal and in a log.

use std::borrow::Cow;

/// The text on one line, without anything that a terminal would obey: control characters (C0, DEL, C1), line and paragraph separators, and the
/// characters that turn the direction of writing are shown as `\n`, `\t`, `\u{1b}`.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same for a text of several lines, which keeps its line feeds.
pub(super) fn clean_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter != '\n' && is_harmful(letter))
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    // Most of what a report shows is plain, and a machine tells that many letters at a time.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if is_plain || !text.chars().any(&is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_harmful(letter) {
            clean.extend(letter.escape_default());
        } else {
            clean.push(letter);
        }
    }
    Cow::Owned(clean)
}

fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{2028}' | '\u{2029}' // separators that some programs break lines at
            | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction
            | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(clean("a\u{1b}[31mb\u{9b}c\u{7f}\r\n\t"), "a\\u{1b}[31mb\\u{9b}c\\u{7f}\\r\\n\\t");
        assert_eq!(clean("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
    }

    #[test]
    fn what_a_person_reads_is_left_alone() {
        let text = "größe = 3 µs, 名前, e\u{301}, \u{1f980}";
        assert!(matches!(clean(text), Cow::Borrowed(same) if same == text));
        assert_eq!(clean_lines("a\nb\r"), "a\nb\\r");
    }
}
