//! What all readers of debug information share: types, and texts that cannot be too long.

use std::ops::Range;

use gimli::{EndianSlice, NativeEndian};

/// A section, or a part of one.
pub(super) type Reader<'a> = EndianSlice<'a, NativeEndian>;

/// Debug information as `gimli` reads it.
pub(super) type Dwarf<'a> = gimli::Dwarf<Reader<'a>>;

/// How much of a name or path to keep. Names with many type parameters have a hundred thousand
/// bytes; in a damaged file, a string can go on for the length of its section.
const MAX_TEXT: usize = 1 << 20;

/// A string, cut to a plausible length.
pub(super) fn text(string: Reader<'_>) -> String {
    let bytes = string.slice();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT)]).into_owned()
}

/// The indices of the sorted addresses that are in a range.
pub(super) fn in_range(addresses: &[u64], range: gimli::Range) -> Range<usize> {
    // Nearly all ranges are outside, and this runs millions of times.
    let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else { return 0..0 };
    if range.end <= *first || range.begin > *last {
        return 0..0;
    }
    let begin = addresses.partition_point(|address| *address < range.begin);
    let end = begin + addresses[begin..].iter().take_while(|address| **address < range.end).count();
    begin..end
}
