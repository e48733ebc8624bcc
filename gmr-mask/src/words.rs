//! Splits names into words. It does not know what they mean. Every word before a `:` or a `=` in a
//! text is split, so that it allocates at most once, and not at all for a word in lower case.

use std::borrow::Cow;
use std::ops::Deref;

use super::boundary;
use super::foreign::folded;

/// Of a longer name, only the end is classified, because that is where its noun is.
const MAX_NAME_LEN: usize = 256;

/// The same for its words.
const MAX_WORDS: usize = 16;

/// The words of a name in lower case. A name is split where lower case changes to upper case, at
/// digits, and at punctuation: `APIKey2`, `api-key`, `api.key` and `api_key` all become `api`,
/// `key`.
#[derive(Debug)]
pub(super) struct Words<'a> {
    /// All words, one after the other.
    pub(super) joined: Cow<'a, str>,
    /// Where words end: the one of index `i` at `i % MAX_WORDS`.
    ends: [u16; MAX_WORDS],
    count: usize,
}

impl<'a> Words<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        let start = name.len().saturating_sub(MAX_NAME_LEN);
        let name = if start == 0 { name } else { &name[boundary::ceil(name, start)..] };
        let mut words = Self { joined: Cow::Borrowed(""), ends: [0; MAX_WORDS], count: 0 };
        if name.bytes().all(|b| b.is_ascii_lowercase()) {
            words.joined = Cow::Borrowed(name);
            words.end(name.len());
            return words;
        }
        if name.is_ascii() {
            words.joined = Cow::Owned(words.ascii(name.as_bytes()));
            return words;
        }
        let mut joined = String::with_capacity(name.len());
        let mut before = '_';
        let mut rest = name.chars().peekable();
        while let Some(c) = rest.next() {
            // To ask a table of Unicode takes long, so that each is asked once, and only of others
            // than ASCII.
            if c.is_ascii_lowercase() {
                joined.push(c);
                before = c;
                continue;
            }
            let lower = c.to_lowercase();
            let is_letter = c.is_alphabetic();
            let is_hump = !lower.clone().eq([c])
                && (before.is_lowercase() || rest.peek().is_some_and(|next| next.is_lowercase()));
            if is_hump || !is_letter {
                words.end(joined.len());
            }
            if is_letter {
                joined.extend(lower.map(folded));
            }
            before = c;
        }
        words.end(joined.len());
        words.joined = Cow::Owned(joined);
        words
    }

    /// As `of`, for most names: all that is asked of a character takes longer.
    fn ascii(&mut self, name: &[u8]) -> String {
        let mut joined = String::with_capacity(name.len());
        let mut before = b'_';
        for (at, &b) in name.iter().enumerate() {
            let is_hump = b.is_ascii_uppercase()
                && (before.is_ascii_lowercase() || name.get(at + 1).is_some_and(u8::is_ascii_lowercase));
            let is_letter = b.is_ascii_alphabetic();
            if is_hump || !is_letter {
                self.end(joined.len());
            }
            if is_letter {
                joined.push(b.to_ascii_lowercase().into());
            }
            before = b;
        }
        self.end(joined.len());
        joined
    }

    /// Ends a word here, if one has begun.
    fn end(&mut self, at: usize) {
        let at = u16::try_from(at).unwrap_or(u16::MAX);
        if at > self.before(self.count) {
            self.ends[self.count % MAX_WORDS] = at;
            self.count += 1;
        }
    }

    /// Where the word before this one ends.
    fn before(&self, index: usize) -> u16 {
        index.checked_sub(1).map_or(0, |before| self.ends[before % MAX_WORDS])
    }

    /// The words, or the last of them if there are many.
    pub(super) fn list(&self) -> List<'_> {
        let mut list = List { words: [""; MAX_WORDS], len: 0 };
        // Of the oldest word that is kept, it is no longer known where it begins.
        let first = if self.count > MAX_WORDS { self.count - MAX_WORDS + 1 } else { 0 };
        for index in first..self.count {
            let (start, end) = (self.before(index), self.ends[index % MAX_WORDS]);
            list.words[list.len] = &self.joined[usize::from(start)..usize::from(end)];
            list.len += 1;
        }
        list
    }
}

/// A few words.
#[derive(Debug)]
pub(super) struct List<'a> {
    words: [&'a str; MAX_WORDS],
    len: usize,
}

impl<'a> Deref for List<'a> {
    type Target = [&'a str];

    fn deref(&self) -> &Self::Target {
        &self.words[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        for (name, expected) in [
            ("host", &["host"][..]),
            ("APIKey2", &["api", "key"]),
            ("x-api.key", &["x", "api", "key"]),
            ("users[Password]", &["users", "password"]),
            ("schl\u{fc}sselX", &["schlussel", "x"]),
            ("", &[]),
            ("_1_", &[]),
        ] {
            assert_eq!(*Words::of(name).list(), *expected, "{name}");
        }
    }

    #[test]
    fn the_last_of_many_words_are_kept() {
        let name = (b'a'..=b'z').map(|b| char::from(b).to_string()).collect::<Vec<_>>().join("_");
        let words = Words::of(&name);
        assert_eq!(words.list().first(), Some(&"l"));
        assert_eq!((words.list().last(), words.list().len()), (Some(&"z"), MAX_WORDS - 1));
        let name = "a_".repeat(MAX_WORDS);
        assert_eq!(Words::of(&name).list().len(), MAX_WORDS);
    }
}
