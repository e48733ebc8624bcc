//! Finds hashes of passwords by their form: `$2y$10$..`, `$argon2id$v=19$..`, `pbkdf2_sha256$..`,
//! `{SSHA}..`, and lines of Windows' password dumps. Whoever has one can guess the password
//! offline.

use std::ops::Range;

use super::index::{Present, has};
use super::quoting::position;

/// Adds the spans of hashes. Each byte is read once.
pub(super) fn find(text: &str, present: &Present, spans: &mut Vec<Range<usize>>) {
    if present.all(b"$") {
        crypted(text, spans);
    }
    if present.all(b"{}") {
        labelled(text, spans);
    }
    if present.all(b":") && text.len() > DUMPED {
        dumped(text, spans);
    }
}

/// `$2y$10$..`, `pbkdf2_sha256$..`
fn crypted(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(offset) = text[at..].find('$') {
        let dollar = at + offset;
        let end = position(bytes, dollar, |b| !is_part(b));
        if is_crypt(&bytes[dollar..end]) {
            let before = |b: &&u8| b.is_ascii_alphanumeric() || has(b"_-", **b);
            let name = bytes[at..dollar].iter().rev().take(32).take_while(before).count();
            spans.push(dollar - name..end);
        }
        at = end;
    }
}

/// `{SSHA}..`
fn labelled(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(offset) = text[at..].find('{') {
        let open = at + offset;
        at = open + 1;
        let name = bytes[at..]
            .iter()
            .take(16)
            .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b'-')
            .count();
        let close = at + name;
        if name >= 3 && bytes.get(close) == Some(&b'}') {
            let end = position(bytes, close + 1, |b| !b.is_ascii_alphanumeric() && !has(b"+/=$.", b));
            if end - close > 16 {
                spans.push(close + 1..end);
            }
            at = end.max(at);
        }
    }
}

/// What hashes in the modular form of `crypt` consist of.
fn is_part(b: u8) -> bool {
    b.is_ascii_alphanumeric() || has(b"$./+=,-_*~", b)
}

/// Whether this is `$` and fields with `$` between them, the last of which is as long as a hash.
/// Two variables of a shell, `$HOME/$USER`, are not.
fn is_crypt(run: &[u8]) -> bool {
    const MIN_HASH: usize = 20;
    let fields = run.split(|&b| b == b'$').count() - 1;
    let last = run.rsplit(|&b| b == b'$').next().unwrap_or(&[]);
    let first = run[1..].split(|&b| b == b'$').next().unwrap_or(&[]);
    (2..=8).contains(&fields)
        && (1..=20).contains(&first.len())
        && first.iter().all(|b| b.is_ascii_alphanumeric() || has(b"-_", *b))
        && last.len() >= MIN_HASH
        && last.iter().any(u8::is_ascii_digit)
        && last.iter().any(u8::is_ascii_alphabetic)
}

/// Two hashes of 32 hexadecimal digits with a colon between them.
const DUMPED: usize = 65;

/// `user:500:LM:NT:::`
fn dumped(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(offset) = text[at..].find(":::") {
        let end = at + offset;
        let hashes = end.checked_sub(DUMPED).map(|start| (start, &text.as_bytes()[start..end]));
        if let Some((start, hashes)) = hashes
            && hashes[32] == b':'
            && hashes.iter().enumerate().all(|(at, b)| at == 32 || b.is_ascii_hexdigit())
        {
            spans.push(start..end);
        }
        at = end + 3;
    }
}

#[cfg(test)]
mod tests {
    use crate::text;

    #[test]
    fn hashes_of_passwords_are_masked() {
        for (given, expected) in [
            ("x $2b$12$KIXQm0p1x9v0e8mYlqzYxuJ0bGfXw1u2eQ1l5qYlqzYxuJ0bGfXw1 y", "x *** y"),
            ("joe:$6$salt4711$Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA:19000:0", "joe:***:19000:0"),
            ("pbkdf2_sha256$260000$abc$Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA= ok", "*** ok"),
            ("{SSHA}Zm9vYmFyYmF6cXV4MTIzNDU2", "{SSHA}***"),
            (
                "joe:500:aad3b435b51404eeaad3b435b51404ee:31d6cfe0d16ae931b73c59d7e0c089c0:::",
                "joe:500:***:::",
            ),
        ] {
            assert_eq!(text(given), expected);
        }
        for given in [
            "$HOME/$USER/x",
            "cost $5 and $10",
            "Foo$Bar$baz",
            "{GET} /x",
            "a$b$c",
            "$1$2",
            "class A$1$$Lambda$14",
        ] {
            assert_eq!(text(given), given);
        }
    }
}
