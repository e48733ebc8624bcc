//! XML: elements with a prefix, elements whose name is in an attribute, and elements whose name is
//! the content of the one before.

use std::ops::Range;

use super::{Scan, Sensitivity, has, keys, position};

/// The longest part of a tag, or between two of them, that is read for a name.
const MAX_TAG: usize = 128;

impl Scan<'_> {
    /// Whether this is the name of an element, with a prefix or without: `<password>`,
    /// `<ns:password>`.
    pub(super) fn is_element(&self, word: &Range<usize>) -> bool {
        let before = &self.bytes[word.start.saturating_sub(MAX_TAG)..word.start];
        let prefix = before.strip_suffix(b":").unwrap_or(before);
        let name = prefix.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || has(b"_-.", **b)).count();
        let is_prefixed = prefix.len() < before.len() && name > 0;
        let name = if is_prefixed { name } else { 0 };
        prefix.len() > name
            && prefix[prefix.len() - 1 - name] == b'<'
            && (is_prefixed || before.ends_with(b"<"))
    }

    /// Masks the content of `<entry key="password">x</entry>`, given the end of the attribute's
    /// value.
    pub(super) fn content_of_named(&mut self, end: usize, spans: &mut Vec<Range<usize>>) {
        let limit = self.bytes.len().min(end + MAX_TAG);
        let close = position(&self.bytes[..limit], end, |b| has(b"<>\n", b));
        let is_tag = self.bytes.get(end).is_some_and(|&b| super::is_quote(b))
            && close < limit
            && self.bytes[close] == b'>'
            && !self.bytes[..close].ends_with(b"/")
            // Another attribute is a pair of its own.
            && !self.bytes[end..close].contains(&b'=');
        if is_tag {
            self.content(close + 1, spans);
        }
    }

    /// Masks the content of the second element of `<key>password</key><string>x</string>`.
    pub(super) fn element_of_name(&mut self, word: &Range<usize>, spans: &mut Vec<Range<usize>>) -> bool {
        let opens = self.bytes[..word.start].ends_with(b">") && self.bytes[word.end..].starts_with(b"</");
        if !opens || keys::classify(&self.text[word.clone()]) != Sensitivity::Secret {
            return false;
        }
        let limit = self.bytes.len().min(word.end + MAX_TAG);
        let within = &self.bytes[..limit];
        let after = (position(within, word.end, |b| b == b'>') + 1).min(limit);
        let next = position(within, after, |b| !b.is_ascii_whitespace());
        let close = position(within, next, |b| b == b'>');
        let is_element = close < limit && within[next] == b'<' && within.get(next + 1) != Some(&b'/');
        is_element && self.content(close + 1, spans)
    }

    fn content(&mut self, start: usize, spans: &mut Vec<Range<usize>>) -> bool {
        let end = super::quoting::element_end(self.bytes, start);
        let is_secret = !Sensitivity::Secret.allows(&self.text[start..end]);
        if is_secret {
            self.at = end;
            spans.push(start..end);
        }
        is_secret
    }
}
