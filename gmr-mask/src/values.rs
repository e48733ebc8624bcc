//! Masks secrets in text without any context: an error message, a line of source, a string in a
//! configuration. It combines the spans that `tokens`, `urls` and `pairs` find. Each of them scans
//! the text once, so the time is linear in the length of the text.

use std::borrow::Cow;
use std::ops::Range;

use super::index::Present;
use super::{MASK, boundary, commands, decoded, hashes, messages, pairs, tokens, urls};

/// Masks the secrets in a text. Masking the result again shows nothing more; it changes nothing,
/// unless the remains of unusual text form a pair by chance (18 in 100,000 random texts made of
/// what the rules look for), and then it masks that too.
pub fn text(text: &str) -> Cow<'_, str> {
    // `pw=x`
    const SHORTEST: usize = 4;
    if text.len() < SHORTEST {
        return Cow::Borrowed(text);
    }
    let mut spans = Vec::new();
    let present = Present::of(text);
    find_in(text, &present, &mut spans);
    decoded::find(text, &present, &find, &mut spans);
    spans.retain(|span| !span.is_empty());
    if spans.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(mask(text, spans)) }
}

/// Adds the spans of secrets. They can overlap.
fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    find_in(text, &Present::of(text), spans);
}

fn find_in(text: &str, present: &Present, spans: &mut Vec<Range<usize>>) {
    tokens::find(text, present, spans);
    if present.any(b"${:") {
        hashes::find(text, present, spans);
    }
    if present.any(b"@/") {
        urls::find(text, spans);
    }
    if present.any(b"\"'`(") {
        messages::find(text, present, spans);
    }
    if present.all(b"-") && present.any(b" \"'") {
        commands::find(text, spans);
    }
    // Every pair has one of these.
    if !present.any(b"=: \t<(,\"'`|") && text.is_ascii() {
        return;
    }
    match plain_punctuation(text) {
        Some(plain) => {
            let known = spans.len();
            pairs::find(&plain, present, spans);
            for span in &mut spans[known..] {
                *span = boundary::floor(text, span.start)..boundary::ceil(text, span.end);
            }
        }
        None => pairs::find(text, present, spans),
    }
}

/// The text with wide and typographic punctuation replaced by that of ASCII and as many spaces as
/// its bytes need, so that places stay the same. `None` if there is none.
fn plain_punctuation(text: &str) -> Option<String> {
    const PLAIN: [(&str, &str); 7] = [
        ("\u{a0}", "  "),
        ("\u{200b}", "   "),
        ("\u{2192}", "-> "),
        ("\u{21d2}", "=> "),
        ("\u{ff1a}", ":  "),
        ("\u{ff1d}", "=  "),
        ("\u{3000}", "   "),
    ];
    if text.is_ascii() || !PLAIN.iter().any(|(wide, _)| text.contains(wide)) {
        return None;
    }
    Some(PLAIN.iter().fold(text.to_owned(), |text, (wide, plain)| text.replace(wide, plain)))
}

/// Replaces each span by the mask. Spans that overlap or touch get one mask together. The bytes of
/// all spans are marked: that is less code than to sort them.
fn mask(text: &str, spans: Vec<Range<usize>>) -> String {
    let mut hidden = vec![false; text.len()];
    for span in spans {
        hidden[span].fill(true);
    }
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let is_hidden = hidden[at];
        let end = hidden[at..].iter().position(|&byte| byte != is_hidden).map_or(text.len(), |run| at + run);
        masked.push_str(if is_hidden { MASK } else { &text[at..end] });
        at = end;
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_secrets_is_not_copied() {
        assert!(matches!(text("nothing to hide"), Cow::Borrowed(_)));
        assert!(matches!(text(""), Cow::Borrowed("")));
    }

    #[test]
    fn spans_that_overlap_or_touch_become_one_mask() {
        assert_eq!(mask("abcdef", vec![3..5, 1..2, 2..4]), "a***f");
        assert_eq!(mask("abcdef", vec![0..1, 2..3]), "***b***def");
        assert_eq!(mask("ab", vec![0..2, 0..1]), "***");
    }

    #[test]
    fn several_secrets_in_one_text() {
        assert_eq!(
            text("cannot reach postgres://shop:hunter2@db/orders with token=ghp_0123456789 (password: x)"),
            "cannot reach postgres://shop:***@db/orders with token=*** (password: ***)"
        );
    }

    /// The CPU time of this thread in seconds: wall time on a busy machine says nothing about the
    /// work.
    #[cfg(unix)]
    fn cpu_time() -> i64 {
        rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).tv_sec
    }

    /// Quadratic work on 64 KiB takes seconds of CPU time, linear work less than a tenth of a
    /// second.
    #[cfg(unix)]
    #[test]
    fn masking_hostile_text_takes_linear_time() {
        const LENGTH: usize = 1 << 16;
        for unit in [
            "@",
            "eyJ",
            "eyJ-",
            "eyJaaaaaaaaaaaaaaa.",
            "-----BEGIN",
            "-----BEGIN PRIVATE KEY",
            "://",
            "a://b:",
            "a://b:c,",
            "password",
            "password=",
            "password: ",
            "\"",
            "\\",
            "\\\"",
            "'",
            "(",
            "password=(",
            "password=[\n",
            "a=",
            "=",
            ":",
            "a:b@",
            "?token",
            "a?b&",
            "secret_path=/",
            "x_ttl=",
            "secret_path:./ ",
            "é",
            "\u{1F600}=",
            "sk-",
            "bearer ",
            " ",
            "\n",
            "password:\n ",
            "password: |\n",
            "password  ",
            "-",
            "--a ",
            "<password>",
            "a\",\"",
            "password=a,b=",
            "http://a\"://b@",
            "name=",
            "name: value: ",
            "<a ",
            "token[0",
            "token\", \"",
            "x\" \"",
            "BEGIN PRIVATE KEY",
            "-> ",
            "basic basic",
            "password=a{\n,",
            "a:b://c@d\"",
            // What is before a tab is there once.
            "password=[\n\t\n",
            "password=(\t\r\n ",
            "kind: Secret\n\tdata: x\n",
            "machine \tx ",
            "-----BEGIN PRIVATE KEY-----\t\n",
            "Token(\"\t\u{5bc6}",
            "%2F\tname=",
        ] {
            let (once, again) = unit.split_once('\t').unwrap_or(("", unit));
            let hostile = once.to_owned() + &again.repeat(LENGTH / again.len());
            let started = cpu_time();
            let masked = text(&hostile).into_owned();
            let seconds = cpu_time() - started;
            assert!(seconds < 2, "{unit:?} took {seconds} s");
            assert!(masked.len() <= 4 * hostile.len());
        }
    }

    #[test]
    fn a_secret_behind_a_mebibyte_is_masked() {
        for unit in ["@", "eyJ", "-----BEGIN", "://", "é"] {
            let hostile = unit.repeat((1 << 20) / unit.len());
            let secret = format!("{hostile} password=hunter2");
            assert!(!text(&secret).contains("hunter2"), "{unit}");
        }
    }
}
