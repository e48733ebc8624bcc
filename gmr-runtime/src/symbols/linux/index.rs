//! Which units of the debug information contain an address, by the indices that compilers and
//! linkers write: `.debug_aranges` and `.gdb_index`. (`.debug_names` is an index of names; it has
//! no addresses.)
//!
//! Without an index, every unit has to be read to the ranges in its root entry, which takes most of
//! the time for a large program. An index need not list all units: C compilers differ in whether
//! they write one.

use gimli::DebugInfoOffset;

use super::reading::{Dwarf, in_range};
use crate::sys::sort;
use crate::sys::sorted_map::SortedMap;

/// How many units may claim one address. Real programs have one; a damaged index could have all of
/// them claim all addresses.
const MAX_UNITS: u8 = 4;

/// What the indices say about some addresses.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The offset of each unit that contains some of the addresses, and these, in ascending order.
    pub(super) units: SortedMap<usize, Vec<u64>>,
    /// The offsets of all units that an index lists, in ascending order.
    listed: Vec<usize>,
    /// The addresses that are in no listed unit, in ascending order.
    pub(super) rest: Vec<u64>,
}

impl Found {
    /// Whether an index lists the unit at this offset, so that it has none of the `rest`.
    pub(super) fn lists(&self, unit: usize) -> bool {
        self.listed.binary_search(&unit).is_ok()
    }
}

/// Looks up these addresses, which are in ascending order.
pub(super) fn look_up(dwarf: &Dwarf<'_>, gdb_index: &[u8], addresses: &[u64]) -> Found {
    let mut found = Found::default();
    let mut counts = vec![0_u8; addresses.len()];
    let mut add = |unit: usize, range: gimli::Range| {
        // Code that the linker discarded begins at zero.
        if range.begin == 0 {
            return;
        }
        for index in in_range(addresses, range) {
            if counts[index] < MAX_UNITS {
                counts[index] += 1;
                found.units.entry(unit).push(addresses[index]);
            }
        }
    };
    let mut listed = Vec::new();
    let mut headers = dwarf.debug_aranges.headers();
    // After an error, what was read before it still counts.
    while let Ok(Some(header)) = headers.next() {
        let DebugInfoOffset(unit) = header.debug_info_offset();
        listed.push(unit);
        let mut entries = header.entries();
        while let Ok(Some(entry)) = entries.next() {
            add(unit, entry.range());
        }
    }
    let _: Option<()> = read_gdb_index(gdb_index, &mut listed, add);
    sort::all(&mut listed);
    listed.dedup();
    found.listed = listed;
    for addresses in found.units.values_mut() {
        sort::all(addresses);
        addresses.dedup();
    }
    let unclaimed = addresses.iter().zip(counts).filter(|(_, count)| *count == 0);
    found.rest = unclaimed.map(|(address, _)| *address).collect();
    found
}

/// Reads a `.gdb_index`: the offsets of its units, and their ranges. None after a malformed part.
///
/// The format is in gdb's manual, "Index Section Format". All versions in use (7 to 9) begin with
/// the same list of units and the same list of ranges, in little-endian order.
fn read_gdb_index(
    index: &[u8],
    listed: &mut Vec<usize>,
    mut add: impl FnMut(usize, gimli::Range),
) -> Option<()> {
    let word = |at: usize| Some(u32::from_le_bytes(index.get(at..at + 4)?.try_into().ok()?));
    let offset = |at: usize| usize::try_from(word(at)?).ok();
    if !(7..=9).contains(&word(0)?) {
        return None;
    }
    let (units, types, ranges, symbols) = (offset(4)?, offset(8)?, offset(12)?, offset(16)?);
    let long = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
    // Each unit: its offset and its length.
    let units: Vec<usize> = index
        .get(units..types)?
        .chunks_exact(16)
        .filter_map(|unit| usize::try_from(long(&unit[..8])?).ok())
        .collect();
    listed.extend(&units);
    // Each range: begin, end, and the number of its unit.
    for range in index.get(ranges..symbols)?.chunks_exact(20) {
        let (begin, end) = (long(&range[..8])?, long(&range[8..16])?);
        let number = usize::try_from(u32::from_le_bytes(range[16..].try_into().ok()?)).ok()?;
        // Behind the numbers of these units are those of type units, which have no code.
        if let Some(unit) = units.get(number) {
            add(*unit, gimli::Range { begin, end });
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `.gdb_index` of these units' offsets, and of these ranges and their units.
    fn gdb_index(units: &[u64], ranges: &[(u64, u64, u32)]) -> Vec<u8> {
        let length = |bytes: &[u8]| u32::try_from(24 + bytes.len()).unwrap();
        let units: Vec<u8> =
            units.iter().flat_map(|unit| [unit.to_le_bytes(), 8_u64.to_le_bytes()].concat()).collect();
        let ranges: Vec<u8> = ranges
            .iter()
            .flat_map(|(begin, end, unit)| {
                [&begin.to_le_bytes()[..], &end.to_le_bytes(), &unit.to_le_bytes()].concat()
            })
            .collect();
        let both = [units.clone(), ranges].concat();
        let header = [8, 24, length(&units), length(&units), length(&both), length(&both)];
        [header.map(u32::to_le_bytes).concat(), both].concat()
    }

    #[test]
    fn a_gdb_index_is_read() {
        let index = gdb_index(&[0x100, 0x200], &[(0x1000, 0x1010, 1), (0x2000, 0x2010, 0), (0, 0x9000, 0)]);
        let found = look_up(&Dwarf::default(), &index, &[0x1008, 0x100f, 0x1010, 0x2000]);
        let units = [(0x100, vec![0x2000]), (0x200, vec![0x1008, 0x100f])];
        assert_eq!(found.units, SortedMap::from_iter(units));
        assert_eq!(found.rest, [0x1010]);
        assert!(found.lists(0x100) && found.lists(0x200) && !found.lists(0x180));
    }

    #[test]
    fn a_damaged_gdb_index_is_read_as_far_as_it_goes() {
        let index = gdb_index(&[0x100], &[(0x1000, 0x1010, 7), (0x1000, 0x1010, 0)]);
        let units = |index: &[u8]| look_up(&Dwarf::default(), index, &[0x1000]).units.iter().len();
        assert_eq!(units(&index), 1, "a range of an unknown unit counts for nothing");
        for length in 0..index.len() {
            assert_eq!(units(&index[..length]), 0);
        }
        let of_another_version = [&[6], &index[1..]].concat();
        assert_eq!(units(&of_another_version), 0);
    }

    #[test]
    fn not_all_units_can_claim_an_address() {
        let ranges: Vec<_> = (0..100).map(|unit| (0x1000, 0x1010, unit)).collect();
        let index = gdb_index(&(0..100).collect::<Vec<_>>(), &ranges);
        let found = look_up(&Dwarf::default(), &index, &[0x1000]);
        assert_eq!(found.units.iter().len(), usize::from(MAX_UNITS));
    }
}
