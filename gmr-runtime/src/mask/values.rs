//! Masking secrets inside of text of which nothing is known but itself: an error message, a line of source, a
//! string in a configuration. It puts together what `tokens`, `urls` and `pairs` find, each of which goes
//! over the text once, so that the time taken grows with the length of the text and no faster.

use std::borrow::Cow;
use std::ops::Range;

use super::{MASK, pairs, tokens, urls};

/// The text with its secrets masked. Masking it again changes nothing.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    tokens::find(text, &mut spans);
    urls::find(text, &mut spans);
    pairs::find(text, &mut spans);
    spans.retain(|span| !span.is_empty());
    if spans.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(mask(text, spans)) }
}

/// Puts the mask in the place of each span, and one in the place of those that overlap or touch.
fn mask(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_unstable_by_key(|span| span.start);
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for span in spans {
        if span.start > end || masked.is_empty() {
            masked.push_str(&text[end..span.start]);
            masked.push_str(MASK);
        }
        end = end.max(span.end);
    }
    masked.push_str(&text[end..]);
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

    /// Quadratic work on a quarter of a mebibyte takes minutes, linear work less than a second.
    #[test]
    fn hostile_texts_take_no_longer_than_others() {
        const LENGTH: usize = 1 << 18;
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
            "password \t",
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
        ] {
            let hostile = unit.repeat(LENGTH / unit.len());
            let started = std::time::Instant::now();
            let masked = text(&hostile).into_owned();
            assert!(started.elapsed().as_secs() < 30, "{unit:?} took {:?}", started.elapsed());
            assert!(masked.len() <= 4 * hostile.len());
        }
    }

    #[test]
    fn a_mebibyte_is_masked_without_trouble() {
        for unit in ["@", "eyJ", "-----BEGIN", "://", "é"] {
            let hostile = unit.repeat((1 << 20) / unit.len());
            let secret = format!("{hostile} password=hunter2");
            assert!(!text(&secret).contains("hunter2"), "{unit}");
        }
    }
}
