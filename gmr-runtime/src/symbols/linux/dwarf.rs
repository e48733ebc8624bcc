//! Resolves addresses to functions, files and lines with the debug information of one module.
//!
//! One pass over the units that contain the addresses finds them all, and keeps nothing else.
//! Tables for many single look-ups, as `addr2line` builds them, pay off after thousands of
//! addresses; a report has dozens. (`docs/symbols.md` has the figures.)

use std::cell::Cell;
use std::ops::Range;
use std::path::PathBuf;

use gimli::{
    AttributeValue, DebugInfoOffset, EndianSlice, EntriesRaw, NativeEndian, Section as _, Unit, UnitHeader,
    UnitOffset, UnitSectionOffset,
};

use super::debug_files::Dwarf;
use crate::symbols::Symbol;

type Reader<'a> = EndianSlice<'a, NativeEndian>;
type Value<'a> = AttributeValue<Reader<'a>>;

/// How many references to follow for a function's name: from the inlined instance to the abstract
/// one, and from there to its declaration.
const MAX_REFERENCES: usize = 8;

/// How many functions to show at one address. Real code inlines some dozens deep; damaged debug
/// information can claim any depth.
pub(super) const MAX_DEPTH: usize = 256;

/// How much of a name or path to keep. Names with many type parameters have a hundred thousand
/// bytes; in a damaged file, a string can go on for the length of its section.
const MAX_TEXT: usize = 1 << 20;

/// Looks up these addresses (relative to the module, in ascending order), and calls `each` with
/// every address that is found and its functions, innermost first.
pub(super) fn find(
    dwarf: &Dwarf<'_>,
    addresses: &[u64],
    mut each: impl FnMut(u64, Vec<Symbol>),
) -> gimli::Result<()> {
    let units = Units::list(dwarf)?;
    for header in &units.headers {
        // An error in one unit does not affect the others.
        let Ok(unit) = dwarf.unit(*header) else { continue };
        let Ok(mut lookups) = units.within(&unit, addresses) else { continue };
        if lookups.is_empty() {
            continue;
        }
        let _ = units.functions(&unit, &mut lookups);
        let _ = lines(&unit, &mut lookups);
        for lookup in lookups {
            each(lookup.address, units.symbols(&unit, lookup));
        }
    }
    Ok(())
}

/// An address at which a unit has code, and what the unit says about it.
struct Lookup<'a> {
    address: u64,
    /// The functions that contain it: the outermost first, then those inlined, each into the one
    /// before.
    chain: Vec<Function<'a>>,
    line: Option<Line>,
}

/// The entry of a function.
#[derive(Clone, Copy, Default)]
struct Function<'a> {
    linkage_name: Option<Value<'a>>,
    name: Option<Value<'a>>,
    /// The entry that has what this one lacks.
    origin: Option<Value<'a>>,
    low: Option<Value<'a>>,
    high: Option<Value<'a>>,
    ranges: Option<Value<'a>>,
    /// Where it is called, if it is inlined.
    called: Line,
}

/// A line of a file in the unit's file table.
#[derive(Clone, Copy, Default)]
struct Line {
    file: u64,
    line: u64,
}

struct Units<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    /// In ascending order of offsets.
    headers: Vec<UnitHeader<Reader<'a>>>,
    /// How many more address ranges may be read. Functions refer to lists of ranges; in a damaged
    /// file, all of them can refer to a list as long as the section.
    ranges_left: Cell<usize>,
}

impl<'d, 'a> Units<'d, 'a> {
    fn list(dwarf: &'d Dwarf<'a>) -> gimli::Result<Self> {
        let mut headers = Vec::new();
        let mut units = dwarf.units();
        while let Some(header) = units.next()? {
            headers.push(header);
        }
        let (ranges, lists) = (dwarf.ranges.debug_ranges(), dwarf.ranges.debug_rnglists());
        // A range in a list takes three bytes or more, and a list belongs to one entry; a unit
        // without a list counts as one range.
        let ranges_left =
            Cell::new(ranges.reader().len() + lists.reader().len() + dwarf.debug_info.reader().len());
        Ok(Self { dwarf, headers, ranges_left })
    }

    /// The addresses at which a unit has code.
    fn within(&self, unit: &Unit<Reader<'a>>, addresses: &[u64]) -> gimli::Result<Vec<Lookup<'a>>> {
        let mut found = vec![false; addresses.len()];
        let mut ranges = self.dwarf.unit_ranges(unit)?;
        while let Some(range) = ranges.next()?.filter(|_| self.may_read_range()) {
            found[in_range(addresses, |address| *address, range)].fill(true);
        }
        let found = addresses.iter().zip(found).filter_map(|(address, found)| found.then_some(*address));
        let mut lookups: Vec<_> =
            found.map(|address| Lookup { address, chain: Vec::new(), line: None }).collect();
        lookups.dedup_by_key(|lookup| lookup.address);
        Ok(lookups)
    }

    /// Counts a range; false if there have been too many.
    fn may_read_range(&self) -> bool {
        let left = self.ranges_left.get();
        self.ranges_left.set(left.saturating_sub(1));
        left > 0
    }

    /// Reads all functions of a unit and adds each to the addresses that it contains. A function
    /// comes before those inlined into it.
    fn functions(&self, unit: &Unit<Reader<'a>>, lookups: &mut [Lookup<'a>]) -> gimli::Result<()> {
        let mut entries = unit.entries_raw(None)?;
        // The depth of a function that contains none of the addresses: nothing inlined into it
        // does.
        let mut outside = None;
        while !entries.is_empty() {
            let depth = entries.next_depth();
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            outside = outside.filter(|function| depth > *function);
            let inlined = match abbreviation.tag() {
                gimli::DW_TAG_subprogram => false,
                gimli::DW_TAG_inlined_subroutine if outside.is_none() => true,
                _ => {
                    entries.skip_attributes(abbreviation.attributes())?;
                    continue;
                }
            };
            let mut covers = false;
            let function = Function::read(&mut entries, abbreviation.attributes())?;
            self.each_range(unit, &function, |range| {
                let covered = in_range(lookups, |lookup| lookup.address, range);
                for lookup in &mut lookups[covered] {
                    covers = true;
                    if !inlined {
                        lookup.chain.clear();
                    }
                    if lookup.chain.len() < MAX_DEPTH {
                        lookup.chain.push(function);
                    }
                }
            })?;
            if !inlined && !covers {
                outside = Some(depth);
            }
        }
        Ok(())
    }

    /// Calls `each` with the address ranges of a function.
    fn each_range(
        &self,
        unit: &Unit<Reader<'a>>,
        function: &Function<'a>,
        mut each: impl FnMut(gimli::Range),
    ) -> gimli::Result<()> {
        if let Some(value) = &function.ranges
            && let Some(mut ranges) = self.dwarf.attr_ranges(unit, *value)?
        {
            while let Some(range) = ranges.next()?.filter(|_| self.may_read_range()) {
                each(range);
            }
            return Ok(());
        }
        let (Some(low), Some(high)) = (&function.low, &function.high) else { return Ok(()) };
        let Some(begin) = self.dwarf.attr_address(unit, *low)? else { return Ok(()) };
        let end = match high.udata_value() {
            Some(length) => begin.saturating_add(length),
            None => self.dwarf.attr_address(unit, *high)?.unwrap_or(begin),
        };
        // Code that the linker discarded begins at zero.
        if begin != 0 {
            each(gimli::Range { begin, end });
        }
        Ok(())
    }

    /// The functions at an address with their names and lines, innermost first.
    fn symbols(&self, unit: &Unit<Reader<'a>>, lookup: Lookup<'a>) -> Vec<Symbol> {
        let mut at = lookup.line;
        let mut symbols = Vec::with_capacity(lookup.chain.len().max(1));
        for function in lookup.chain.into_iter().rev() {
            let (file, line) = self.described(unit, at.replace(function.called));
            let name = self.name(unit, function, MAX_REFERENCES);
            symbols.push(Symbol { function: name, file, line, source: None });
        }
        if symbols.is_empty() {
            let (file, line) = self.described(unit, at);
            symbols.push(Symbol { file, line, ..Symbol::default() });
        }
        symbols
    }

    /// The path and line number of a line.
    fn described(&self, unit: &Unit<Reader<'a>>, at: Option<Line>) -> (Option<String>, Option<u32>) {
        let line = at.and_then(|at| u32::try_from(at.line).ok()).filter(|line| *line > 0);
        (at.and_then(|at| self.path(unit, at.file)), line)
    }

    /// The path of a file in the unit's table. A relative path is relative to its directory in the
    /// table, and a relative directory to the one that the compiler ran in.
    fn path(&self, unit: &Unit<Reader<'a>>, index: u64) -> Option<String> {
        let header = unit.line_program.as_ref()?.header();
        let file = header.file(index)?;
        let parts = [file.directory(header), Some(file.path_name())];
        let mut path = PathBuf::from(unit.comp_dir.map(text).unwrap_or_default());
        for part in parts.into_iter().flatten() {
            path.push(self.text(unit, part)?);
        }
        path.into_os_string().into_string().ok()
    }

    /// The name of a function, or of the entry that it refers to: the linkage name if there is one,
    /// else the plain name.
    fn name(&self, unit: &Unit<Reader<'a>>, function: Function<'a>, references: usize) -> Option<String> {
        if let Some(name) = function.linkage_name.or(function.name) {
            return Some(demangled(&self.text(unit, name)?));
        }
        let references = references.checked_sub(1)?;
        match function.origin? {
            AttributeValue::UnitRef(offset) => self.name(unit, read_at(unit, offset)?, references),
            AttributeValue::DebugInfoRef(offset) => {
                let unit = self.unit_of(offset)?;
                let offset = offset.to_unit_offset(&unit.header)?;
                self.name(&unit, read_at(&unit, offset)?, references)
            }
            _ => None,
        }
    }

    /// The text of an attribute.
    fn text(&self, unit: &Unit<Reader<'a>>, value: Value<'a>) -> Option<String> {
        self.dwarf.attr_string(unit, value).ok().map(text)
    }

    /// The unit that contains the target of a reference.
    fn unit_of(&self, offset: DebugInfoOffset) -> Option<Unit<Reader<'a>>> {
        let begin = |header: &UnitHeader<Reader<'a>>| {
            let UnitSectionOffset(begin) = header.offset();
            begin
        };
        let after = self.headers.partition_point(|header| begin(header) <= offset.0);
        self.dwarf.unit(*self.headers.get(after.checked_sub(1)?)?).ok()
    }
}

impl<'a> Function<'a> {
    fn read(
        entries: &mut EntriesRaw<'_, Reader<'a>>,
        attributes: &[gimli::AttributeSpecification],
    ) -> gimli::Result<Self> {
        let mut function = Self::default();
        for &attribute in attributes {
            let attribute = entries.read_attribute(attribute)?;
            let value = attribute.value();
            match attribute.name() {
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                    function.linkage_name = Some(value);
                }
                gimli::DW_AT_name => function.name = Some(value),
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => function.origin = Some(value),
                gimli::DW_AT_low_pc => function.low = Some(value),
                gimli::DW_AT_high_pc => function.high = Some(value),
                gimli::DW_AT_ranges => function.ranges = Some(value),
                gimli::DW_AT_call_file => function.called.file = number(&value),
                gimli::DW_AT_call_line => function.called.line = number(&value),
                _ => {}
            }
        }
        Ok(function)
    }
}

/// A string, cut to a plausible length.
fn text(string: Reader<'_>) -> String {
    let bytes = string.slice();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT)]).into_owned()
}

/// A number in any of its forms. Zero, which means unknown, if it is not a number.
fn number(value: &Value<'_>) -> u64 {
    match value {
        AttributeValue::FileIndex(index) => *index,
        other => other.udata_value().unwrap_or(0),
    }
}

/// Reads the entry at this offset.
fn read_at<'a>(unit: &Unit<Reader<'a>>, offset: UnitOffset) -> Option<Function<'a>> {
    let mut entries = unit.entries_raw(Some(offset)).ok()?;
    let abbreviation = entries.read_abbreviation().ok()??;
    Function::read(&mut entries, abbreviation.attributes()).ok()
}

/// Reads the rows of a unit's line table, and sets the line of each address.
fn lines<'a>(unit: &Unit<Reader<'a>>, lookups: &mut [Lookup<'a>]) -> gimli::Result<()> {
    let Some(program) = unit.line_program.clone() else { return Ok(()) };
    let mut rows = program.rows();
    let mut before: Option<(u64, Line)> = None;
    let mut first = None;
    while let Some((_, row)) = rows.next_row()? {
        let begin = *first.get_or_insert(row.address());
        // Code that the linker discarded begins at zero.
        if let Some((address, line)) = before.filter(|_| begin != 0) {
            let range = gimli::Range { begin: address, end: row.address() };
            let covered = in_range(lookups, |lookup| lookup.address, range);
            lookups[covered].iter_mut().for_each(|lookup| lookup.line = Some(line));
        }
        let line = Line { file: row.file_index(), line: row.line().map_or(0, std::num::NonZero::get) };
        before = (!row.end_sequence()).then_some((row.address(), line));
        if row.end_sequence() {
            first = None;
        }
    }
    Ok(())
}

/// A Rust name without mangling and hash; any other name unchanged.
pub(super) fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// The indices of the sorted items whose addresses are in a range.
fn in_range<T>(sorted: &[T], address: impl Fn(&T) -> u64, range: gimli::Range) -> Range<usize> {
    let before = |limit| sorted.partition_point(|one| address(one) < limit);
    before(range.begin)..before(range.end).max(before(range.begin))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use object::{Object, ObjectSymbol, SymbolKind};

    use super::super::debug_files::{Elf, Sections, own_file};
    use super::*;
    use crate::sys::Modules;

    #[test]
    fn it_finds_what_addr2line_finds() {
        let modules = Modules::load();
        let here = modules.find(demangled as *const () as u64).unwrap();
        let file = own_file(here).unwrap();
        let file = Elf::parse(&file[..]).unwrap();
        // Addresses all over the program: in its own code, its dependencies, and the standard
        // library.
        let functions =
            file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 40);
        let mut addresses: Vec<u64> = functions
            .step_by(7)
            .flat_map(|function| [6, 21, 33].map(|into| function.address() + into))
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let sections = Sections::load(&file);
        let mut ours = HashMap::new();
        find(&sections.dwarf(), &addresses, |address, symbols| drop(ours.insert(address, symbols))).unwrap();

        let context = addr2line::Context::from_dwarf(sections.dwarf()).unwrap();
        let (mut frames_seen, mut inlined_seen) = (0, 0);
        for address in addresses {
            let mut frames = context.find_frames(address).skip_all_loads().unwrap();
            let mut theirs = Vec::new();
            while let Some(frame) = frames.next().unwrap() {
                let function = frame.function.map(|name| demangled(&name.raw_name().unwrap()));
                let (file, line) = frame.location.map_or((None, None), |place| (place.file, place.line));
                theirs.push((function, file.map(str::to_owned), line));
            }
            let ours = ours.remove(&address).unwrap_or_default();
            let ours: Vec<_> =
                ours.into_iter().map(|symbol| (symbol.function, symbol.file, symbol.line)).collect();
            assert_eq!(ours, theirs, "at {address:#x}");
            frames_seen += theirs.len();
            inlined_seen += theirs.len().saturating_sub(1);
        }
        assert!(frames_seen > 1_000 && inlined_seen > 100, "{frames_seen} {inlined_seen}");
    }
}
