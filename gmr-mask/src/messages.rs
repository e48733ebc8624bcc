//! Finds secrets in the messages of parsers, which quote a value and then say what it is for:
//! `invalid value 'x' for '--password <PASSWORD>'`, `invalid type: string "x", expected u16 for
//! key db.password`. And in calls and in the `Debug` of tuples: `Token(Some("x"))`.

use std::ops::Range;

use super::index::Present;
use super::keys::{self, Sensitivity};
use super::quoting::{is_quote, position, quoted_end};
use super::{boundary, looks};

/// How far before the name a value is looked for, and how long a name can be.
const MAX_DISTANCE: usize = 256;

/// Adds the spans of such values.
pub(super) fn find(text: &str, present: &Present, spans: &mut Vec<Range<usize>>) {
    if present.any(b"\"'`") && present.all(b" for") {
        quoted(text, spans);
    }
    if present.all(b"(\"") {
        calls(text, spans);
    }
}

/// `invalid value 'x' for '--password'`
fn quoted(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(offset) = text[at..].find(" for ") {
        let (from, found) = (at, at + offset);
        at = found + 5;
        if is_secret_named(text, at) {
            values_before(text, from, found, spans);
        }
    }
}

/// Whether what begins here names a secret: `--password`, `key db.password`, with quotes or
/// without.
fn is_secret_named(text: &str, start: usize) -> bool {
    const NOUNS: &[&str] =
        &["argument", "field", "flag", "key", "option", "parameter", "setting", "variable"];
    let window = &text[start..boundary::floor(text, start + 96)];
    let (first, rest) = window.split_once(' ').unwrap_or((window, ""));
    let name = if NOUNS.contains(&first) { rest } else { window };
    let is_quoted = name.starts_with(['\'', '"', '`']);
    let name = name.trim_start_matches(['\'', '"', '`']);
    let name = name.split(|c: char| c.is_whitespace() || "'\"`<>,;:()".contains(c)).next().unwrap_or("");
    let is_named =
        is_quoted || name.starts_with("--") || NOUNS.contains(&first) || name.len() == window.len();
    is_named && matches!(keys::classify(name), Sensitivity::Secret)
}

/// Masks the quoted values before this position on the same line.
fn values_before(text: &str, from: usize, end: usize, spans: &mut Vec<Range<usize>>) {
    let start = boundary::ceil(text, end.saturating_sub(MAX_DISTANCE).max(from));
    let start = text[start..end].rfind('\n').map_or(start, |at| start + at + 1);
    let bytes = text.as_bytes();
    let mut at = start;
    while at < end {
        let open = position(&bytes[..end], at, is_quote);
        // An apostrophe is within a word.
        let is_opening = open == 0 || !bytes[open - 1].is_ascii_alphanumeric();
        let close = if open < end { position(&bytes[..end], open + 1, |b| b == bytes[open]) } else { end };
        if is_opening && close < end {
            let value = open + 1..close;
            if !Sensitivity::Secret.allows(&text[value.clone()]) {
                spans.push(value);
            }
            at = close + 1;
        } else {
            at = (open + 1).max(at + 1);
        }
    }
}

/// Names of calls and of tuples that have a user and a password.
const LOGINS: &[&str] = &[
    "authenticate",
    "basic",
    "basicauth",
    "basic_auth",
    "login",
    "pgp_sym_decrypt",
    "pgp_sym_encrypt",
    "sign_in",
];

/// Masks the strings in the parentheses after the name of a secret.
fn calls(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(offset) = text[at..].find('(') {
        let open = at + offset;
        at = open + 1;
        let is_name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
        let name = &text[open - bytes[..open].iter().rev().take(64).take_while(is_name).count()..open];
        if name.is_empty() {
            continue;
        }
        let is_login = LOGINS.iter().any(|login| name.eq_ignore_ascii_case(login));
        // Of functions, only those that take a secret alone are known: `hold(key("x"))` is none.
        let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
        let within = &bytes[..boundary::floor(text, open + MAX_DISTANCE)];
        let next = position(within, at, |b| b != b' ');
        let has_string = within.get(next).is_some_and(|&b| b == b'"' || b == b'\\' || b == b'S');
        if !has_string || !(is_login || keys::is_secret_call(name)) {
            continue;
        }
        let end = closing(within, open);
        let mut strings = Vec::new();
        let mut from = at;
        while from < end {
            let quote = position(&within[..end], from, |b| b == b'"');
            if quote == end {
                break;
            }
            // A string that goes on after that is read to its end, and nothing in it again.
            let close = match quoted_end(&within[..end], quote) {
                close if close == within.len() => quoted_end(bytes, quote),
                close => close,
            };
            strings.push(quote + 1..close);
            from = close + 1;
        }
        let first = usize::from(is_login || strings.len() > 1);
        let is_value = |string: &Range<usize>| {
            text.get(string.clone()).is_some_and(|value| {
                !Sensitivity::Secret.allows(value) && (is_login || is_type || looks::is_opaque(value))
            })
        };
        spans.extend(strings.into_iter().skip(first).filter(|string| !string.is_empty() && is_value(string)));
        at = at.max(boundary::floor(text, end.max(from)));
    }
}

/// The position of the parenthesis that closes this one, outside of strings.
fn closing(bytes: &[u8], open: usize) -> usize {
    let (mut depth, mut at) = (0_usize, open);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => depth += 1,
            b')' if depth == 1 => return at,
            b')' => depth -= 1,
            b'"' => at = quoted_end(bytes, at),
            _ => (),
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use crate::text;

    #[test]
    fn values_that_a_message_is_about_are_masked() {
        for (given, expected) in [
            (
                "invalid value 'zebra9' for '--password <PASSWORD>'",
                "invalid value '***' for '--password <PASSWORD>'",
            ),
            (
                "invalid type: string \"zebra9\", expected u16 for key `db.password`",
                "invalid type: string \"***\", expected u16 for key `db.password`",
            ),
            ("Token(Some(\"zebra9\"))", "Token(Some(\"***\"))"),
            ("Auth::Basic(\"joe\", \"a b\")", "Auth::Basic(\"joe\", \"***\")"),
            (".basic_auth(\"joe\", Some(\"zebra9\"))", ".basic_auth(\"***\", Some(\"***\"))"),
        ] {
            assert_eq!(text(given), expected);
        }
        for filler in ["a", "\u{e9}", "\u{5bc6}"] {
            for length in 80..90 {
                let long = filler.repeat(length * 3);
                assert_eq!(text(&format!("Token(\"{long}\", 1)")), "Token(\"***\", 1)");
                assert_eq!(text(&format!("Token(\"{long}")), "Token(\"***");
            }
        }
        for given in [
            "invalid value 'x' for '--port <PORT>'",
            "waiting for `password` of 'joe'",
            "no entry for key `orders`",
            "login(user, password)",
            "Some(\"x\")",
            "it's time for password changes",
        ] {
            assert_eq!(text(given), given);
        }
    }
}
