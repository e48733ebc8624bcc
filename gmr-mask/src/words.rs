//! Splits names into words. It does not know what they mean.

use super::boundary;
use super::foreign::folded;

/// Of a longer name, only the end is classified, because that is where its noun is.
const MAX_NAME_LEN: usize = 256;

/// The words of a name in lower case. A name is split where lower case changes to upper case, at
/// digits, and at punctuation: `APIKey2`, `api-key`, `api.key` and `api_key` all become `api`,
/// `key`.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// All words, one after the other.
    pub(super) joined: String,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Words {
    pub(super) fn of(name: &str) -> Self {
        let start = name.len().saturating_sub(MAX_NAME_LEN);
        let name = &name[boundary::ceil(name, start)..];
        let mut words = Self { joined: String::with_capacity(name.len()), ends: Vec::with_capacity(4) };
        let mut before: Option<char> = None;
        let mut rest = name.chars().peekable();
        while let Some(c) = rest.next() {
            let hump = c.is_uppercase()
                && (before.is_some_and(char::is_lowercase)
                    || rest.peek().is_some_and(|next| next.is_lowercase()));
            if hump || !c.is_alphabetic() {
                words.end();
            }
            if c.is_ascii() {
                if c.is_ascii_alphabetic() {
                    words.joined.push(c.to_ascii_lowercase());
                }
            } else if c.is_alphabetic() {
                words.joined.extend(c.to_lowercase().map(folded));
            }
            before = Some(c);
        }
        words.end();
        words
    }

    /// Ends a word, if it has begun.
    fn end(&mut self) {
        if self.joined.len() > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.joined.len());
        }
    }

    pub(super) fn list(&self) -> Vec<&str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.joined[start..end]).collect()
    }
}
