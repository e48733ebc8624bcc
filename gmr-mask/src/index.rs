//! Searches for many strings at once: by their first bytes, from a table that is made when the crate
//! is compiled. A search of std's for each string would cost more than all else that masking does.

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

/// Whether a text contains any string of a list.
pub(super) fn contains_any(text: &str, list: &'static [&'static str], index: &Index) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|at| {
        beginning(list, index, bytes[at]).iter().any(|known| bytes[at..].starts_with(known.as_bytes()))
    })
}

/// Which bytes a text has, so that most searches are not even begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present(u128);

impl Present {
    pub(super) fn of(text: &str) -> Self {
        // All bytes beyond ASCII count as DEL, which no rule looks for.
        Self(text.bytes().fold(0, |present, byte| present | 1 << byte.min(127)))
    }

    /// Whether all of these are there.
    pub(super) fn all(self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.0 >> byte & 1 == 1)
    }

    pub(super) fn any(self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.0 >> byte & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_by_their_first_bytes() {
        const LIST: &[&str] = &["ab", "ac", "x", "\u{e9}"];
        const INDEX: Index = by_first_byte(LIST);
        for (text, found) in
            [("zab", true), ("za", false), ("acz", true), ("x", true), ("\u{e9}", true), ("", false)]
        {
            assert_eq!(contains_any(text, LIST, &INDEX), found, "{text}");
        }
        assert!(
            Present::of("a=b").all(b"=a")
                && !Present::of("a=b").any(b"xy")
                && !Present::of("\u{e9}").any(b"a")
        );
    }
}
