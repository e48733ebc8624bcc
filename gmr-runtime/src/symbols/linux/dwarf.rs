//! Resolves addresses to functions, files and lines with the debug information of one module.
//!
//! One pass over the units that contain the addresses finds them all, and keeps nothing else.
//! Tables for many single look-ups, as `addr2line` builds them, pay off after thousands of
//! addresses; a report has dozens. (`docs/symbols.md` has the figures.)

use crate::sys::hash::NumberMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gimli::{
    Abbreviations, AttributeValue, DebugInfoOffset, EntriesRaw, Section as _, Unit, UnitHeader, UnitOffset,
    UnitSectionOffset,
};

use super::demangle::{demangled, with_kind};
use super::entries::Entries;
use super::index::{self, Found};
use super::lines::{self, Line, Lines};
use super::parallel;
use super::reading::{Dwarf, Reader, in_range, text};
use super::split::Split;
use crate::symbols::Symbol;

type Value<'a> = AttributeValue<Reader<'a>>;

/// How many references to follow for a function's name: from the inlined instance to the abstract
/// one, and from there to its declaration.
const MAX_REFERENCES: usize = 8;

/// How many functions to show at one address. Real code inlines some dozens deep; damaged debug
/// information can claim any depth.
pub(super) const MAX_DEPTH: usize = 256;

/// Looks up these addresses (relative to the module, in ascending order). Calls `each` with every
/// address that is found and its functions, innermost first, as soon as it is found, on any of
/// several threads.
///
/// Returns the number of units that could not be read. What they have about an address is left out
/// as a whole: a part of it could put the line of an inlined function beside the name of another.
pub(super) fn find(
    dwarf: &Dwarf<'_>,
    gdb_index: &[u8],
    split: &Split<'_>,
    addresses: &[u64],
    each: &(impl Fn(u64, Vec<Symbol>) + Sync),
) -> usize {
    let found = index::look_up(dwarf, gdb_index, addresses);
    let ranges_left = AtomicUsize::new(dwarf.ranges.debug_ranges().reader().len() + most_ranges(dwarf));
    let scope = Scope::new(dwarf, &ranges_left);
    let mut work: Vec<Item<'_>> = Vec::new();
    let mut damaged = 0;
    for (offset, addresses) in found.units.iter() {
        match dwarf.unit_header(DebugInfoOffset(*offset)) {
            Ok(header) => work.push(Item { header, addresses: Some(addresses) }),
            Err(_) => damaged += 1,
        }
    }
    if !found.rest.is_empty() {
        let unlisted = scope.headers().iter().filter(|header| !found.lists(begin_of(header)));
        work.extend(unlisted.map(|&header| Item { header, addresses: None }));
    }
    let search = Search { scope, split, found: &found, each, results: Mutex::default() };
    let damaged = AtomicUsize::new(damaged);
    let bytes = work.iter().map(|item| item.header.length_including_self()).sum();
    parallel::each(&work, bytes, |item| {
        if search.read(item).is_err() {
            damaged.fetch_add(1, Relaxed);
        }
    });
    damaged.into_inner()
}

/// A unit to read.
struct Item<'a> {
    header: UnitHeader<Reader<'a>>,
    /// The addresses in it. None if only the unit can tell.
    addresses: Option<&'a [u64]>,
}

struct Search<'d, 'a, E> {
    scope: Scope<'d, 'a>,
    split: &'d Split<'d>,
    found: &'d Found,
    each: &'d E,
    /// The addresses that have been found, and whether they have functions.
    results: Mutex<NumberMap<bool>>,
}

impl<'a, E: Fn(u64, Vec<Symbol>) + Sync> Search<'_, 'a, E> {
    /// Reads a unit. An error in one does not affect the others.
    fn read(&self, item: &Item<'a>) -> gimli::Result<()> {
        let unit = self.scope.unit(item.header)?;
        let addresses = match item.addresses {
            Some(addresses) => addresses.to_vec(),
            None => self.scope.within(&unit, &self.found.rest)?,
        };
        if addresses.is_empty() {
            return Ok(());
        }
        let files = Files { dwarf: self.scope.dwarf, unit: &unit };
        let Some(id) = unit.dwo_id else {
            return self.report(&self.scope, &unit, &files, &addresses, true);
        };
        // A skeleton: its functions are elsewhere, its lines are here.
        let elsewhere = self.split.with(self.scope.dwarf, &unit, id, |dwarf, split_unit| {
            self.scope.ranges_left.fetch_add(most_ranges(dwarf), Relaxed);
            let scope = Scope::new(dwarf, self.scope.ranges_left);
            self.report(&scope, split_unit, &files, &addresses, false)
        });
        match elsewhere {
            Some(result) => result,
            // It can have copies of the inlined functions (`-fsplit-dwarf-inlining`).
            None => self.report(&self.scope, &unit, &files, &addresses, false),
        }
    }

    /// Reads the functions of a unit, and the lines of the unit that has its line table. Without
    /// the functions, a line is that of an inlined function as likely as not: `lines_alone` says
    /// whether to report it then.
    fn report<'u>(
        &self,
        scope: &Scope<'_, 'u>,
        unit: &Unit<Reader<'u>>,
        files: &Files<'_, '_>,
        addresses: &[u64],
        lines_alone: bool,
    ) -> gimli::Result<()> {
        let chains = scope.functions(unit, addresses)?;
        let lines = files.lines(addresses)?;
        for ((&address, chain), line) in addresses.iter().zip(chains).zip(lines) {
            let has_functions = !chain.is_empty();
            if !has_functions && (!lines_alone || line.is_none()) {
                continue;
            }
            let symbols = scope.symbols(unit, files, chain, line);
            // Two units can claim one address. The one with a function is right.
            let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
            let is_better = results.get(address).is_none_or(|before| has_functions && !before);
            if is_better {
                results.insert(address, has_functions);
                (self.each)(address, symbols);
            }
        }
        Ok(())
    }
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

/// Debug information whose units refer to one another: that of a module, of a split unit, or of a
/// supplementary file.
pub(super) struct Scope<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    /// All units, in ascending order of offsets. Read only if needed.
    headers: OnceLock<Vec<UnitHeader<Reader<'a>>>>,
    supplementary: Option<Box<Scope<'d, 'a>>>,
    /// How many more address ranges may be read. Functions refer to lists of ranges; in a damaged
    /// file, all of them can refer to a list as long as the section.
    ranges_left: &'d AtomicUsize,
    /// The abbreviations of the last unit. Hundreds of units of the standard library share one
    /// table.
    abbreviations: Mutex<Option<(usize, Arc<Abbreviations>)>>,
}

impl<'d, 'a> Scope<'d, 'a> {
    fn new(dwarf: &'d Dwarf<'a>, ranges_left: &'d AtomicUsize) -> Self {
        let supplementary = dwarf.sup().map(|dwarf| Box::new(Scope::new(dwarf, ranges_left)));
        let (headers, abbreviations) = (OnceLock::new(), Mutex::default());
        Self { dwarf, headers, supplementary, ranges_left, abbreviations }
    }

    fn headers(&self) -> &[UnitHeader<Reader<'a>>] {
        self.headers.get_or_init(|| {
            let mut headers = Vec::new();
            let mut units = self.dwarf.units();
            // After an error, what was read before it still counts.
            while let Ok(Some(header)) = units.next() {
                headers.push(header);
            }
            headers
        })
    }

    fn unit(&self, header: UnitHeader<Reader<'a>>) -> gimli::Result<Unit<Reader<'a>>> {
        let offset = header.debug_abbrev_offset().0;
        let last = || self.abbreviations.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last().as_ref().filter(|(other, _)| *other == offset).map(|(_, known)| Arc::clone(known));
        let abbreviations = if let Some(known) = known {
            known
        } else {
            let read = self.dwarf.abbreviations(&header)?;
            *last() = Some((offset, Arc::clone(&read)));
            read
        };
        Unit::new_with_abbreviations(self.dwarf, header, abbreviations)
    }

    /// The addresses at which a unit has code.
    fn within(&self, unit: &Unit<Reader<'a>>, addresses: &[u64]) -> gimli::Result<Vec<u64>> {
        let mut found = vec![false; addresses.len()];
        let mut ranges = self.dwarf.unit_ranges(unit)?;
        while let Some(range) = ranges.next()?.filter(|_| self.may_read_range()) {
            found[in_range(addresses, range)].fill(true);
        }
        let found = addresses.iter().zip(found).filter_map(|(address, found)| found.then_some(*address));
        Ok(found.collect())
    }

    /// Counts a range; false if there have been too many.
    fn may_read_range(&self) -> bool {
        self.ranges_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Reads the functions of a unit. Returns, for each of these addresses, the functions that
    /// contain it: the outermost first, then those inlined, each into the one before.
    fn functions(&self, unit: &Unit<Reader<'a>>, addresses: &[u64]) -> gimli::Result<Vec<Vec<Function<'a>>>> {
        let mut chains = vec![Vec::new(); addresses.len()];
        let mut left = addresses.len();
        let mut entries = Entries::of(unit)?;
        // The depth of a function that contains none of the addresses: nothing inlined into it
        // does.
        let mut outside = None;
        // The depth of the outermost function that contains some.
        let mut inside = None;
        while !entries.is_empty() {
            let depth = entries.depth();
            outside = outside.filter(|function| depth > *function);
            inside = inside.filter(|function| depth > *function);
            if left == 0 && inside.is_none() {
                break;
            }
            let Some(entry) = entries.next()? else { continue };
            let inlined = match entry.abbreviation.tag() {
                gimli::DW_TAG_subprogram => false,
                gimli::DW_TAG_inlined_subroutine if outside.is_none() => true,
                _ => {
                    entries.skip(&entry)?;
                    continue;
                }
            };
            if !entries.has_code(&entry) {
                entries.skip(&entry)?;
                outside = outside.or((!inlined).then_some(depth));
                continue;
            }
            let mut covers = false;
            let function =
                entries.read(|entries| Function::read(entries, entry.abbreviation.attributes()))?;
            self.each_range(unit, &function, |range| {
                for index in in_range(addresses, range) {
                    let chain: &mut Vec<Function<'a>> = &mut chains[index];
                    covers = true;
                    left -= usize::from(chain.is_empty());
                    if !inlined {
                        chain.clear();
                    }
                    if chain.len() < MAX_DEPTH {
                        chain.push(function);
                    }
                }
            })?;
            match (inlined, covers) {
                (false, false) => outside = Some(depth),
                (false, true) => inside = inside.or(Some(depth)),
                (true, _) => {}
            }
        }
        Ok(chains)
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
    fn symbols(
        &self,
        unit: &Unit<Reader<'a>>,
        files: &Files<'_, '_>,
        chain: Vec<Function<'a>>,
        line: Option<Line>,
    ) -> Vec<Symbol> {
        let mut at = line;
        let mut symbols = Vec::with_capacity(chain.len().max(1));
        for function in chain.into_iter().rev() {
            let place = files.described(at.replace(function.called));
            let name = self.name(unit, function, MAX_REFERENCES);
            symbols.push(Symbol { function: name, ..place });
        }
        if symbols.is_empty() {
            symbols.push(files.described(at));
        }
        symbols
    }

    /// The name of a function, or of the entry that it refers to: the linkage name if there is one,
    /// else the plain name, which tells async blocks and functions from closures.
    fn name(&self, unit: &Unit<Reader<'a>>, function: Function<'a>, references: usize) -> Option<String> {
        let string = |value| self.dwarf.attr_string(unit, value).ok().map(text);
        if let Some(mangled) = function.linkage_name {
            let plain = function.name.and_then(string).unwrap_or_default();
            return Some(with_kind(demangled(&string(mangled)?), &plain));
        }
        if let Some(name) = function.name {
            return Some(demangled(&string(name)?));
        }
        let references = references.checked_sub(1)?;
        match function.origin? {
            AttributeValue::UnitRef(offset) => self.name(unit, read_at(unit, offset)?, references),
            AttributeValue::DebugInfoRef(offset) => self.name_at(offset, references),
            AttributeValue::DebugInfoRefSup(offset) => {
                self.supplementary.as_ref()?.name_at(offset, references)
            }
            _ => None,
        }
    }

    /// The name of the function at this offset, in any unit.
    fn name_at(&self, offset: DebugInfoOffset, references: usize) -> Option<String> {
        let headers = self.headers();
        let after = headers.partition_point(|header| begin_of(header) <= offset.0);
        let unit = self.unit(*headers.get(after.checked_sub(1)?)?).ok()?;
        let offset = offset.to_unit_offset(&unit.header)?;
        self.name(&unit, read_at(&unit, offset)?, references)
    }
}

/// The line table of a unit, and its file names.
struct Files<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    unit: &'d Unit<Reader<'a>>,
}

impl Files<'_, '_> {
    /// The path and line number of a line, without a function.
    fn described(&self, at: Option<Line>) -> Symbol {
        let line = at.and_then(|at| u32::try_from(at.line).ok()).filter(|line| *line > 0);
        let file = at.and_then(|at| self.path(at.file));
        Symbol { file, line, md5: at.and_then(|at| self.md5(at.file)), ..Symbol::default() }
    }

    /// The path of a file in the unit's table. A relative path is relative to its directory in the
    /// table, and a relative directory to the one that the compiler ran in.
    fn path(&self, index: u64) -> Option<String> {
        let header = self.unit.line_program.as_ref()?.header();
        let file = header.file(index)?;
        let parts = [file.directory(header), Some(file.path_name())];
        let mut path = PathBuf::from(self.unit.comp_dir.map(text).unwrap_or_default());
        for part in parts.into_iter().flatten() {
            path.push(text(self.dwarf.attr_string(self.unit, part).ok()?));
        }
        path.into_os_string().into_string().ok()
    }

    /// The checksum of a file in the unit's table, which DWARF 5 can have.
    fn md5(&self, index: u64) -> Option<[u8; 16]> {
        let header = self.unit.line_program.as_ref()?.header();
        let file = header.file(index).filter(|_| header.file_has_md5())?;
        Some(*file.md5())
    }

    /// The line of each of these addresses in the line table.
    fn lines(&self, addresses: &[u64]) -> gimli::Result<Vec<Option<Line>>> {
        let mut lines = Lines::of(addresses);
        let Some(program) = &self.unit.line_program else { return Ok(lines.found()) };
        if lines::run(program.header(), &mut lines).is_some() {
            return Ok(lines.found());
        }
        let mut lines = Lines::of(addresses);
        let mut rows = program.clone().rows();
        while let Some((_, row)) = rows.next_row()? {
            let line = Line { file: row.file_index(), line: row.line().map_or(0, std::num::NonZero::get) };
            if !lines.row(row.address(), line, row.end_sequence()) {
                break;
            }
        }
        Ok(lines.found())
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

/// The maximum number of address ranges, except for those in `.debug_ranges`. A range in a list
/// takes three bytes or more, and a list belongs to one entry; a unit without a list counts as one
/// range.
fn most_ranges(dwarf: &Dwarf<'_>) -> usize {
    dwarf.ranges.debug_rnglists().reader().len() + dwarf.debug_info.reader().len()
}

/// The offset of a unit.
fn begin_of(header: &UnitHeader<Reader<'_>>) -> usize {
    let UnitSectionOffset(begin) = header.offset();
    begin
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

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use std::path::PathBuf;

    use object::{Object, ObjectSymbol, SymbolKind};

    use super::super::debug_files::{Elf, own_file};
    use super::super::sections::Sections;
    use super::*;
    use crate::symbols::split_files::SplitFiles;
    use crate::sys::Modules;
    use crate::sys::hash::HashMap;

    /// What is found at these addresses.
    fn found(dwarf: &Dwarf<'_>, addresses: &[u64]) -> HashMap<u64, Vec<Symbol>> {
        let found = Mutex::new(HashMap::default());
        let nowhere = SplitFiles::default();
        let split = Split::new(PathBuf::new(), &[], &nowhere);
        let damaged = find(dwarf, &[], &split, addresses, &|address, symbols| {
            found.lock().unwrap().insert(address, symbols);
        });
        assert_eq!(damaged, 0);
        found.into_inner().unwrap()
    }

    /// The name without what tells the body of an async function from a closure. `addr2line` reads
    /// the mangled name alone.
    fn as_closure(name: String) -> String {
        match name.rsplit_once("::{") {
            Some((path, last)) if last.starts_with("async_") || last.contains("closure") => {
                format!("{path}::{{..}}")
            }
            _ => name,
        }
    }

    #[test]
    fn it_finds_what_addr2line_finds() {
        let modules = Modules::load();
        let here = modules.find(demangled as *const () as u64).unwrap();
        let own = own_file(here).unwrap();
        let file = Elf::parse(&own.mapped[..]).unwrap();
        // Addresses all over the program: in its own code, its dependencies, and the standard
        // library.
        let functions =
            file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 40);
        let mut addresses: Vec<u64> = functions
            .step_by(23)
            .flat_map(|function| [6, 21, 33].map(|into| function.address() + into))
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let sections = Sections::load(&file);
        let mut ours = found(&sections.dwarf(), &addresses);

        let context = addr2line::Context::from_dwarf(sections.dwarf()).unwrap();
        let (mut frames_seen, mut inlined_seen) = (0, 0);
        for &address in &addresses {
            let mut frames = context.find_frames(address).skip_all_loads().unwrap();
            let mut theirs = Vec::new();
            while let Some(frame) = frames.next().unwrap() {
                let function = frame.function.map(|name| demangled(&name.raw_name().unwrap()));
                let (file, line) = frame.location.map_or((None, None), |place| (place.file, place.line));
                theirs.push((function, file.map(str::to_owned), line));
            }
            let ours = ours.remove(&address).unwrap_or_default();
            let ours: Vec<_> = ours
                .into_iter()
                .map(|Symbol { function, file, line, .. }| (function.map(as_closure), file, line))
                .collect();
            let theirs: Vec<_> = theirs
                .into_iter()
                .map(|(function, file, line)| (function.map(as_closure), file, line))
                .collect();
            assert_eq!(ours, theirs, "at {address:#x}");
            frames_seen += theirs.len();
            inlined_seen += theirs.len().saturating_sub(1);
        }
        assert!(frames_seen > 1_000 && inlined_seen > 100, "{frames_seen} {inlined_seen}");

        // The index is used where there is one, and the same is found without it.
        let some: Vec<u64> = addresses.iter().copied().step_by(20).collect();
        let with_index = found(&sections.dwarf(), &some);
        let mut without = sections.dwarf();
        assert!(index::look_up(&without, &[], &some).rest.len() < some.len() / 10);
        without.debug_aranges = gimli::DebugAranges::new(&[], gimli::NativeEndian);
        let without_index = found(&without, &some);
        for (address, symbols) in with_index {
            let others: Vec<_> = without_index[&address].iter().map(|other| &other.function).collect();
            assert_eq!(symbols.iter().map(|one| &one.function).collect::<Vec<_>>(), others);
        }
    }
}
