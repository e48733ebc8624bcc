//! Searches for many strings at once: by their first bytes, from a table that is made when the
//! crate is compiled. A search of std's for each string would cost more than all else that masking
//! does.

/// Where the strings with each first byte are, in a list in the order of first bytes.
pub(super) type Index = [(u8, u8); 256];

pub(super) const fn by_first_byte(list: &[&str]) -> Index {
    let mut places = [(0, 0); 256];
    let mut at: u8 = 0;
    while (at as usize) < list.len() {
        let first = list[at as usize].as_bytes()[0] as usize;
        if places[first].1 == 0 {
            places[first].0 = at;
        }
        at += 1;
        places[first].1 = at;
    }
    places
}

/// The strings of a list that can begin with this byte.
pub(super) fn beginning<T>(list: &'static [T], index: &Index, first: u8) -> &'static [T] {
    let (from, to) = index[usize::from(first)];
    &list[usize::from(from)..usize::from(to)]
}

/// The first of each pair of a list, whose length is `N`.
pub(super) const fn firsts<T, const N: usize>(pairs: &[(&'static str, T)]) -> [&'static str; N] {
    let mut firsts = [""; N];
    let mut at = 0;
    while at < N {
        firsts[at] = pairs[at].0;
        at += 1;
    }
    firsts
}

/// A list of strings with its index.
pub(super) struct Set {
    list: &'static [&'static str],
    index: Index,
}

impl Set {
    pub(super) const fn of(list: &'static [&'static str]) -> Self {
        Self { list, index: by_first_byte(list) }
    }

    /// Whether this is one of the strings.
    pub(super) fn has(&self, word: &str) -> bool {
        word.as_bytes().first().is_some_and(|&first| beginning(self.list, &self.index, first).contains(&word))
    }

    /// Whether a text contains any of the strings.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let begins = |at: usize| beginning(self.list, &self.index, bytes[at]);
        (0..bytes.len()).any(|at| begins(at).iter().any(|known| bytes[at..].starts_with(known.as_bytes())))
    }
}

/// Whether a byte is one of a few. `contains` begins a search that is made for long lists.
#[inline]
#[expect(clippy::manual_contains, reason = "it is slower here")]
pub(super) fn has<const N: usize>(list: &[u8; N], byte: u8) -> bool {
    list.iter().any(|&one| one == byte)
}

/// With which two bytes the strings of some lists begin. Of most texts, no two bytes are among
/// them.
pub(super) struct Beginnings([u32; 32]);

impl Beginnings {
    pub(super) const fn of(lists: &[&[&str]]) -> Self {
        let mut beginnings = Self([0; 32]);
        let mut list = 0;
        while list < lists.len() {
            beginnings = beginnings.and(lists[list]);
            list += 1;
        }
        beginnings
    }

    pub(super) const fn and(mut self, list: &[&str]) -> Self {
        let mut at = 0;
        while at < list.len() {
            let bytes = list[at].as_bytes();
            self.0[(bytes[0] & 31) as usize] |= 1 << (bytes[1] & 31);
            at += 1;
        }
        self
    }

    /// Whether a text of these bytes could begin with any string.
    pub(super) fn begin(&self, bytes: &[u8]) -> bool {
        matches!(bytes, &[first, second, ..] if self.has(first, second))
    }

    /// Whether any string could begin somewhere in the text.
    pub(super) fn any_in(&self, text: &str) -> bool {
        text.as_bytes().windows(2).any(|pair| self.has(pair[0], pair[1]))
    }

    fn has(&self, first: u8, second: u8) -> bool {
        self.0[usize::from(first & 31)] >> (second & 31) & 1 == 1
    }
}

/// Which bytes a text has, so that most searches are not even begun.
pub(super) struct Present([bool; 256]);

impl Present {
    pub(super) fn of(text: &str) -> Self {
        let mut present = [false; 256];
        for byte in text.bytes() {
            present[usize::from(byte)] = true;
        }
        Self(present)
    }

    /// Whether all of these are there.
    pub(super) fn all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|&byte| self.0[usize::from(byte)])
    }

    pub(super) fn any(&self, bytes: &[u8]) -> bool {
        bytes.iter().any(|&byte| self.0[usize::from(byte)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_by_their_first_bytes() {
        static SET: Set = Set::of(&["ab", "ac", "x", "\u{e9}"]);
        for (text, found) in
            [("zab", true), ("za", false), ("acz", true), ("x", true), ("\u{e9}", true), ("", false)]
        {
            assert_eq!(SET.is_in(text), found, "{text}");
        }
        for (word, found) in [("ab", true), ("a", false), ("abc", false), ("", false)] {
            assert_eq!(SET.has(word), found, "{word}");
        }
    }

    #[test]
    fn what_a_text_lacks_is_not_searched() {
        let beginnings = Beginnings::of(&[&["abc", "xyz"]]);
        assert!(beginnings.begin(b"abc") && !beginnings.begin(b"a") && !beginnings.begin(b"cab"));
        assert!(beginnings.any_in("1ab") && beginnings.any_in("xy"));
        assert!(!beginnings.any_in("ba") && !beginnings.any_in("a") && !beginnings.any_in(""));
        let present = Present::of("a=b");
        assert!(present.all(b"=a") && !present.any(b"xy") && !present.all(b"ax"));
    }
}
