//! Where a line of prose may be broken: after a `/` and after a `::`, so that a path or a function is
//! not broken within a name; and nowhere in the number of a source line.

use maud::{Markup, html};

use super::out::{Out, Written};

/// The longest text in which they are said. The markup for them is up to ten times as long as the
/// text, and nobody reads a longer one to its end.
const MAX_LENGTH: usize = 4 << 10;

/// Adds text in which a browser breaks lines there.
pub(super) fn add(text: &str, out: &mut Out<'_>) -> Written {
    if text.len() > MAX_LENGTH { out.text(text) } else { out.add(&breakable(text)) }
}

/// Text in which a browser breaks lines there.
pub(super) fn breakable(text: &str) -> Markup {
    if text.len() > MAX_LENGTH {
        return html! { (text) };
    }
    html! {
        @for (part, is_number) in parts(text) {
            @if is_number { span.number { (part) } }
            @else {
                (part)
                @if part.ends_with('/') || part.ends_with("::") { wbr; }
            }
        }
    }
}

/// The text in parts, and which of them are line numbers, with what separates them from the path:
/// the `:57` of `shop.rs:57`.
fn parts(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut left = text;
    std::iter::from_fn(move || {
        let number = number_length(left);
        let is_number = number > 0;
        let end = if is_number { number } else { end_of_name(left) };
        let (part, rest) = left.split_at(end);
        left = rest;
        (!part.is_empty()).then_some((part, is_number))
    })
}

/// The length of `:57` or `:57:5` at the beginning of this, or 0.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while bytes.get(end) == Some(&b':') {
        let digits = bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            break;
        }
        end += 1 + digits;
    }
    end
}

/// Where a line may be broken next, or a number begins.
fn end_of_name(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |at: usize| match bytes[at] {
        b'/' => Some(at + 1),
        b':' if bytes.get(at + 1) == Some(&b':') => Some(at + 2),
        b':' if at > 0 && number_length(&text[at..]) > 0 => Some(at),
        _ => None,
    };
    (0..bytes.len()).find_map(ends).unwrap_or(bytes.len())
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_names_and_not_in_numbers() {
        for (text, expected) in [
            ("", ""),
            ("no <path>", "no &lt;path&gt;"),
            ("in a::b, c/d.rs:57", "in a::<wbr>b, c/<wbr>d.rs<span class=\"number\">:57</span>"),
            ("/d.rs:8:5: no", "/<wbr>d.rs<span class=\"number\">:8:5</span>: no"),
            (":57", "<span class=\"number\">:57</span>"),
            ("a:::7::", "a::<wbr><span class=\"number\">:7</span>::<wbr>"),
            ("ü: ä:x/", "ü: ä:x/<wbr>"),
        ] {
            assert_eq!(breakable(text).into_string(), expected, "{text}");
        }
    }

    #[test]
    fn the_markup_of_a_long_text_is_no_longer_than_the_text() {
        let text = "a:1/".repeat(MAX_LENGTH);
        assert_eq!(breakable(&text).into_string(), text);
        let shorter = &text[..MAX_LENGTH];
        assert!(breakable(shorter).into_string().len() > shorter.len());
    }
}
