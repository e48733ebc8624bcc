//! Remembers how the names of a long text were classified: logs and tables repeat the same few, and
//! to classify one takes longer than all else that is done for a pair. It decides nothing itself.

use std::ops::Range;

use super::{Sensitivity, keys};

/// In a shorter text there are too few names for it.
const LONG: usize = 512;

/// The longest name that is remembered.
const MAX_NAME: usize = 32;

const SLOTS: usize = 64;

#[derive(Debug)]
pub(super) struct Memo<'a> {
    text: &'a str,
    /// Where a name is in the text, and what it is. Empty if nothing is remembered.
    slots: Vec<(Range<usize>, Sensitivity)>,
}

impl<'a> Memo<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let slots = if text.len() < LONG { Vec::new() } else { vec![(0..0, Sensitivity::Plain); SLOTS] };
        Self { text, slots }
    }

    /// As [`keys::classify`].
    pub(super) fn classify(&mut self, name: Range<usize>) -> Sensitivity {
        let text = &self.text[name.clone()];
        if self.slots.is_empty() || text.len() > MAX_NAME {
            return keys::classify(text);
        }
        // FNV-1a
        let hash = text
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let slot = &mut self.slots[(hash >> 16) as usize % SLOTS];
        if self.text[slot.0.clone()] != *text {
            *slot = (name, keys::classify(text));
        }
        slot.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_is_without_it() {
        let names = ["password", "host", "api_key", "token", "a", "", "user", "max_tokens"];
        let mut text = names.join("=");
        text.push_str(&"=".repeat(LONG));
        for long in [&text[..], &text[..64]] {
            let mut memo = Memo::of(long);
            for name in names.iter().chain(&names) {
                let start = long.find(name).unwrap();
                assert_eq!(memo.classify(start..start + name.len()), keys::classify(name), "{name}");
            }
        }
    }
}
