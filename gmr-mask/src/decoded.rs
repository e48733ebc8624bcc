//! Finds secrets in text that is encoded once: percent-encoding, escapes of JSON, base64 and
//! hexadecimal digits. The decoded text is searched like any other; an encoded word with a secret
//! in it is masked as a whole, since its parts cannot be told apart.

use std::ops::Range;

use super::boundary;
use super::index::{Present, has};
use super::quoting::position;

/// Searches a text, given as the finders see it, and adds spans.
pub(super) type Search<'a> = &'a dyn Fn(&str, &mut Vec<Range<usize>>);

/// Adds the spans of encoded secrets.
pub(super) fn find(text: &str, present: &Present, search: Search<'_>, spans: &mut Vec<Range<usize>>) {
    let is_in_url = present.all(b"%") && (text.contains("%3") || text.contains("%2"));
    if is_in_url || (present.all(b"\\u0") && text.contains("\\u00")) {
        around_escapes(text, search, spans);
    }
    if text.len() >= MIN_LEN {
        words(text, search, spans);
    }
}

/// The shortest encoded word that is decoded: `password=` has 12 characters in base64.
const MIN_LEN: usize = 16;

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |b: u8| (b as char).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

/// Searches what is around escapes, so that a single one in a long text does not cost another
/// search of all of it.
fn around_escapes(text: &str, search: Search<'_>, spans: &mut Vec<Range<usize>>) {
    /// As far as a name can be before its value, and more than a secret is long.
    const BEFORE: usize = 512;
    const AFTER: usize = 2048;
    let bytes = text.as_bytes();
    let is_escape = |b: u8| b == b'%' || b == b'\\';
    let mut at = position(bytes, 0, is_escape);
    let mut searched = 0;
    while at < bytes.len() {
        let start = boundary::ceil(text, at.saturating_sub(BEFORE).max(searched));
        // To the first stretch of text without any.
        let mut last = at;
        let end = loop {
            let next = position(bytes, last + 1, is_escape);
            if next >= bytes.len() || next - last > AFTER {
                break boundary::floor(text, last + AFTER);
            }
            last = next;
        };
        let known = spans.len();
        escapes(&text[start..end], search, spans);
        for span in &mut spans[known..] {
            *span = span.start + start..span.end + start;
        }
        searched = end;
        at = position(bytes, end, is_escape);
    }
}

/// Decodes `%XX` and `\\u00XX` to ASCII, and maps what is found back.
fn escapes(text: &str, search: Search<'_>, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut decoded = String::with_capacity(text.len());
    // For each byte of the decoded text, where it was; and the end.
    let mut places = Vec::with_capacity(text.len() + 1);
    let mut at = 0;
    for (start, c) in text.char_indices() {
        if start < at {
            continue;
        }
        let digits = match c {
            '%' => bytes.get(start + 1..start + 3).map(|digits| (3, digits)),
            '\\' if bytes[start..].starts_with(b"\\u00") => {
                bytes.get(start + 4..start + 6).map(|digits| (6, digits))
            }
            _ => None,
        };
        let byte = digits.and_then(|(length, digits)| Some((length, hex(digits)?)));
        let (length, c) = match byte {
            Some((length, byte)) if byte.is_ascii_graphic() || byte == b' ' => (length, byte as char),
            _ => (c.len_utf8(), c),
        };
        decoded.push(c);
        places.resize(decoded.len(), start);
        at = start + length;
    }
    places.push(text.len());
    let mut found = Vec::new();
    search(&decoded, &mut found);
    spans.extend(found.into_iter().map(|span| places[span.start]..places[span.end]));
}

/// Decodes words of base64 and of hexadecimal digits.
fn words(text: &str, search: Search<'_>, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || has(b"+/-_", b);
    let mut at = 0;
    while at < bytes.len() {
        let start = position(bytes, at, is_base64);
        let end = position(bytes, start, |b| !is_base64(b));
        let padded = position(bytes, end, |b| b != b'=');
        at = padded.max(start + 1);
        if end - start < MIN_LEN {
            continue;
        }
        let word = &bytes[start..end];
        let decoded = if word.iter().all(u8::is_ascii_hexdigit) { from_hex(word) } else { from_base64(word) };
        let Some(decoded) = decoded else { continue };
        let mut found = Vec::new();
        search(&decoded, &mut found);
        if found.iter().any(|span| !span.is_empty()) {
            spans.push(start..padded);
        }
    }
}

/// Text of printable ASCII, from hexadecimal digits.
fn from_hex(word: &[u8]) -> Option<String> {
    readable(word.chunks_exact(2).map(hex))
}

fn from_base64(word: &[u8]) -> Option<String> {
    let value = |b: u8| match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    };
    readable(word.chunks(4).flat_map(|four| {
        let bits =
            four.iter().fold(0_u32, |bits, &b| bits << 6 | u32::from(value(b))) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len().max(1)].to_vec().into_iter().map(Some)
    }))
}

/// The text, if all of it is printable. Most words that are not encoded end at their first bytes.
fn readable(bytes: impl Iterator<Item = Option<u8>>) -> Option<String> {
    bytes
        .map(|byte| byte.filter(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()).map(char::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::text;

    #[test]
    fn what_is_encoded_once_is_decoded() {
        for (given, expected) in [
            ("cb=https%3A%2F%2Fh%2F%3Ftoken%3Dzebra9%26x%3D1", "cb=https%3A%2F%2Fh%2F%3Ftoken%3D***%26x%3D1"),
            ("p\\u0061ssword=zebra9", "p\\u0061ssword=***"),
            (
                &format!("{} password%3Dzebra9 {}", "\u{e9} ".repeat(2000), "x ".repeat(3000)),
                &format!("{} password%3D*** {}", "\u{e9} ".repeat(2000), "x ".repeat(3000)),
            ),
            // `{"password":"zebra9"}`
            ("x eyJwYXNzd29yZCI6InplYnJhOSJ9 y", "x *** y"),
            // `password=zebra9`
            ("70617373776f72643d7a6562726139", "***"),
        ] {
            assert_eq!(text(given), expected);
        }
        for given in [
            "50%25 of %20s",
            "aGVsbG8gd29ybGQgaG93IGFyZSB5b3U=",
            "68656c6c6f20776f726c64",
            "é%é%2",
            "%",
            "\\u00",
        ] {
            assert_eq!(text(given), given);
        }
    }
}
