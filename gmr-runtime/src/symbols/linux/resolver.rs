//! Resolves addresses in one module: first to names of functions, with its symbol tables; then to
//! functions, inlined ones too, files and lines, with its debug information.

use crate::sys::hash::HashSet;
use crate::sys::sort;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use object::{Object, ObjectSection, ObjectSymbol, SectionIndex, SectionKind, SymbolKind};

use super::debug_files::{self, Elf, OwnFile};
use super::demangle::{demangled, with_kind};
use super::dwarf;
use super::sections::Sections;
use super::source::{Compiled, Sources};
use super::split::{self, Split};
use crate::capture::Address;
use crate::symbols::Symbol;
use crate::symbols::split_files::SplitFiles;
use crate::sys::Module;
use crate::sys::linux::mapping::MappedBytes;
use crate::sys::sorted_map::SortedMap;
use crate::units::counted;

/// The names of functions, by the address at which each is looked up.
pub(crate) type Names = SortedMap<u64, String>;

/// The files of a module that symbols are read from. They are unmapped when this is dropped.
pub(crate) struct ModuleFiles {
    own: OwnFile,
    separate: Option<(PathBuf, MappedBytes)>,
}

impl ModuleFiles {
    /// Opens the files of a module.
    ///
    /// # Errors
    /// Why its symbols are missing. Empty if it has no file.
    pub(crate) fn open(module: &Module) -> Result<Self, String> {
        let own = debug_files::own_file(module)?;
        let file = Elf::parse(&own.mapped[..]).map_err(|error| format!("its file is damaged: {error}"))?;
        let separate =
            if debug_files::has_debug_info(&file) { None } else { debug_files::separate_file(module, &file) };
        Ok(Self { own, separate })
    }

    /// The names of functions at these addresses in the symbol tables. This takes milliseconds for
    /// a program whose debug information takes seconds.
    pub(crate) fn names(&self, module: &Module, addresses: &[Address]) -> Names {
        let separate = self.separate.as_ref().map(|(_, mapped)| mapped);
        let files = [Some(&self.own.mapped), separate].into_iter().flatten();
        let files: Vec<_> = files.filter_map(|mapped| Elf::parse(&mapped[..]).ok()).collect();
        names_in(&files, module, addresses)
    }

    /// Whether there may be more than names.
    pub(crate) fn has_lines(&self, module: &Module) -> bool {
        !is_c_library(&module.path)
            && Elf::parse(self.debug_file().1).is_ok_and(|file| debug_files::has_debug_info(&file))
    }

    /// Resolves these addresses with the debug information, and with their names where it has
    /// nothing. Calls `each` with every address and its symbols, innermost first, as soon as they
    /// are known, on any of several threads. If it is called again for an address, the later
    /// symbols are better.
    ///
    /// Split debug information is where the module says, or `elsewhere`. Returns what is missing, and
    /// why.
    pub(crate) fn resolve(
        &self,
        module: &Module,
        elsewhere: &SplitFiles,
        addresses: &[Address],
        names: &Names,
        each: &(impl Fn(Address, Vec<Symbol>) + Sync),
    ) -> Option<String> {
        let (path, bytes) = self.debug_file();
        let path = path.unwrap_or_else(|| debug_files::path_of(module));
        let file = Elf::parse(bytes).ok()?;
        let package_path = split::package_path(debug_files::path_of(module));
        let packages = std::iter::once(&package_path).chain(elsewhere.packages());
        let packages: Vec<MappedBytes> = packages.filter_map(|path| debug_files::map(path).ok()).collect();
        let packages: Vec<Elf<'_>> =
            packages.iter().filter_map(|mapped| Elf::parse(&mapped[..]).ok()).collect();
        let supplementary = debug_files::supplementary_file(path, &file);
        let debug = DebugInformation {
            file: &file,
            packages: &packages,
            package_path,
            elsewhere,
            supplementary: supplementary.as_ref().map(|found| found.as_deref().map_err(String::as_str)),
        };
        let (sources, not_after) = (Mutex::new(Sources::default()), self.own.modified);
        debug.resolve(module, addresses, names, &|address, mut symbols| {
            for symbol in &mut symbols {
                let compiled = Compiled { md5: symbol.md5, not_after };
                if let (Some(file), Some(line)) = (symbol.file.as_deref(), symbol.line) {
                    let mut sources = sources.lock().unwrap_or_else(PoisonError::into_inner);
                    symbol.source = sources.line(file, line, compiled);
                }
            }
            each(address, symbols);
        })
    }

    /// The file that has the debug information, and its path if it is not the module's own.
    fn debug_file(&self) -> (Option<&Path>, &[u8]) {
        match &self.separate {
            Some((path, mapped)) => (Some(path), mapped),
            None => (None, &self.own.mapped),
        }
    }
}

/// The debug information of a module.
struct DebugInformation<'f, 'a> {
    file: &'f Elf<'a>,
    packages: &'f [Elf<'a>],
    package_path: PathBuf,
    elsewhere: &'f SplitFiles,
    /// The contents of the supplementary file, or the name of one that was not found.
    supplementary: Option<Result<&'a [u8], &'f str>>,
}

impl DebugInformation<'_, '_> {
    fn resolve(
        self,
        module: &Module,
        addresses: &[Address],
        names: &Names,
        each: &(impl Fn(Address, Vec<Symbol>) + Sync),
    ) -> Option<String> {
        let mut notes = Vec::new();
        let sections = Sections::load(self.file);
        let packages: Vec<Sections<'_>> = self.packages.iter().map(Sections::load_split).collect();
        let split = Split::new(self.package_path, &packages, self.elsewhere);
        let supplementary = self.supplementary.and_then(|found| match found {
            Ok(bytes) => Some(Sections::load(&Elf::parse(bytes).ok()?)),
            Err(name) => {
                notes.push(format!("names may be missing: the supplementary file {name} was not found"));
                None
            }
        });
        let mut dwarf = sections.dwarf();
        if let Some(sections) = &supplementary {
            dwarf.set_sup(sections.dwarf());
        }
        let all = std::iter::once(&sections).chain(&packages).chain(&supplementary);
        for name in all.filter_map(|sections| sections.failed) {
            notes.push(format!(
                "functions and lines are missing: the section {name} could not be decompressed"
            ));
        }

        let probe_of = |address: &Address| address.lookup().wrapping_sub(module.bias);
        let mut by_probe: SortedMap<u64, Vec<Address>> = SortedMap::new();
        for address in addresses {
            by_probe.entry(probe_of(address)).push(*address);
        }
        let probes: Vec<u64> = by_probe.iter().map(|(probe, _)| *probe).collect();
        let found = Mutex::new(HashSet::default());
        let damaged =
            dwarf::find(&dwarf, debug_files::gdb_index(self.file), &split, &probes, &|probe, symbols| {
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(probe);
                for &address in by_probe.get(&probe).into_iter().flatten() {
                    each(address, named(symbols.clone(), names.get(&address.lookup())));
                }
            });
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for &address in addresses.iter().filter(|address| !found.contains(&probe_of(address))) {
            each(address, named(Vec::new(), names.get(&address.lookup())));
        }
        notes.extend(
            split.missing().map(|missing| format!("inlined functions and lines are missing: {missing}")),
        );
        if damaged > 0 {
            let units = counted(damaged, "unit");
            notes.push(format!(
                "functions and lines are missing: the debug information of {units} is damaged"
            ));
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// The symbols of an address with the name that the symbol tables have.
///
/// With debug information for lines only, or none, only the symbol tables have the function's name
/// with the path to it.
fn named(mut symbols: Vec<Symbol>, name: Option<&String>) -> Vec<Symbol> {
    match (symbols.last_mut(), name) {
        (Some(outermost), Some(name)) if !outermost.function.as_deref().is_some_and(is_qualified) => {
            let plain = outermost.function.take().unwrap_or_default();
            outermost.function = Some(with_kind(name.clone(), &plain));
        }
        (None, Some(name)) => symbols.push(Symbol { function: Some(name.clone()), ..Symbol::default() }),
        _ => {}
    }
    symbols
}

/// Reads the contents of an ELF file as a report does, and returns the number of functions found at
/// these addresses. The file also counts as its own package of split units, and as its own
/// supplementary file.
#[cfg(any(test, feature = "__fuzz"))]
pub(crate) fn resolve_bytes(bytes: &[u8], addresses: &[u64]) -> usize {
    let Ok(file) = Elf::parse(bytes) else { return 0 };
    let module = Module { path: "/nonexistent/module".to_owned(), ..Module::default() };
    assert!(debug_files::separate_file(&module, &file).is_none());
    let addresses: Vec<Address> = addresses.iter().map(|&address| Address::Exact(address)).collect();
    let names = names_in(std::slice::from_ref(&file), &module, &addresses);
    let debug = DebugInformation {
        file: &file,
        packages: std::slice::from_ref(&file),
        package_path: PathBuf::new(),
        elsewhere: &SplitFiles::default(),
        supplementary: Some(Ok(bytes)),
    };
    let functions = Mutex::new(crate::sys::hash::HashMap::default());
    debug.resolve(&module, &addresses, &names, &|address, symbols| {
        functions.lock().unwrap_or_else(PoisonError::into_inner).insert(address, symbols.len());
    });
    functions.into_inner().unwrap_or_else(PoisonError::into_inner).values().sum()
}

fn is_qualified(name: &str) -> bool {
    name.contains("::")
}

/// Whether this is one of the C library's own modules. Those are resolved to functions, without
/// lines.
///
/// Their debug information, where it is installed, is compressed and consists of thousands of small
/// units. For a small program, reading it took 45 of the 64 ms of the first report, and left 17 of
/// 20 MiB behind in the allocator. All that it adds is the line of `read.c` at which the program
/// waits in `read`.
fn is_c_library(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    ["libc.so.", "libc-2.", "libm.so.", "libm-2.", "libpthread", "ld-linux", "ld-2."]
        .iter()
        .any(|name| file.starts_with(name))
}

/// The names of some addresses in the symbol tables of these files.
///
/// One pass over the tables finds all addresses. Sorting the tables would take memory in proportion
/// to the program.
fn names_in(files: &[Elf<'_>], module: &Module, addresses: &[Address]) -> Names {
    let mut wanted: Vec<(u64, u64)> = addresses
        .iter()
        .map(|address| (address.lookup().wrapping_sub(module.bias), address.lookup()))
        .collect();
    sort::all(&mut wanted);
    wanted.dedup();
    let mut names: Vec<Option<&str>> = vec![None; wanted.len()];
    for file in files {
        let mut preceding = Preceding::new(file, wanted.len());
        for symbol in file.symbols().chain(file.dynamic_symbols()) {
            if !may_be_function(&symbol) {
                continue;
            }
            let (start, size) = (symbol.address(), symbol.size());
            let first = wanted.partition_point(|(offset, _)| *offset < start);
            let covered = wanted[first..].iter().take_while(|(offset, _)| *offset - start < size).count();
            for kept in &mut names[first..first + covered] {
                if let Ok(name) = symbol.name() {
                    *kept = Some(kept.map_or(name, |kept| better(kept, name)));
                }
            }
            preceding.add(first, &symbol);
        }
        // The exported functions alone do not tell which one precedes an address.
        if file.symbol_table().is_some() {
            for (index, name) in preceding.names(&wanted) {
                names[index].get_or_insert(name);
            }
        }
    }
    wanted.iter().zip(names).filter_map(|((_, address), name)| Some((*address, demangled(name?)))).collect()
}

/// Whether it is a function, or a label that may be one: musl's `_start` is.
fn may_be_function<'a>(symbol: &impl ObjectSymbol<'a>) -> bool {
    let is_label = || symbol.kind() == SymbolKind::Unknown && symbol.is_global() && symbol.size() == 0;
    symbol.kind() == SymbolKind::Text || is_label()
}

/// How far a function without a size may reach. Such functions are short and in assembly, such as
/// musl's `_start` and `__clone`, whose source does not say where they end.
const MOST_WITHOUT_SIZE: u64 = 1024;

/// The function that precedes each address, of those in one file. An address that no function
/// contains belongs to the one before it, if that has no size.
struct Preceding<'a> {
    /// The sections with code, and where each ends.
    sections: Vec<(SectionIndex, u64)>,
    /// For each address, the last function that starts after the address before.
    last: Vec<Option<Start<'a>>>,
}

#[derive(Clone, Copy)]
struct Start<'a> {
    address: u64,
    /// Its name and the end of its section, unless its size is known.
    open: Option<(&'a str, u64)>,
}

impl<'a> Preceding<'a> {
    fn new(file: &Elf<'a>, addresses: usize) -> Self {
        let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
        let ends = code.map(|section| (section.index(), section.address().saturating_add(section.size())));
        Self { sections: ends.collect(), last: vec![None; addresses] }
    }

    /// Notes a function that precedes the address with this index.
    fn add(&mut self, index: usize, symbol: &impl ObjectSymbol<'a>) {
        let Some(last) = self.last.get_mut(index) else { return };
        let (address, section) = (symbol.address(), symbol.section_index());
        let Some((_, end)) = self.sections.iter().find(|(index, _)| section == Some(*index)) else { return };
        let name = if symbol.size() == 0 { symbol.name().ok() } else { None };
        let open = name.map(|name| (name, *end));
        *last = match *last {
            Some(last) if last.address > address => Some(last),
            Some(last) if last.address == address => {
                let both = last.open.zip(open);
                Some(Start { address, open: both.map(|((one, end), (other, _))| (better(one, other), end)) })
            }
            _ => Some(Start { address, open }),
        };
    }

    /// The indices of the addresses in functions without a size, with their names.
    fn names(self, wanted: &[(u64, u64)]) -> impl Iterator<Item = (usize, &'a str)> {
        let starts = self.last.into_iter().scan(None, |last, start| {
            *last = start.or(*last);
            Some(*last)
        });
        wanted.iter().zip(starts).enumerate().filter_map(|(index, ((offset, _), start))| {
            let (start, (name, end)) = start.and_then(|start| Some((start.address, start.open?)))?;
            (*offset < end && offset - start < MOST_WITHOUT_SIZE).then_some((index, name))
        })
    }
}

/// The better of two names of one function, the one that programmers use: `read` rather than
/// `__GI___libc_read`.
fn better<'a>(one: &'a str, other: &'a str) -> &'a str {
    let plainness = |name: &str| (name.len() - name.trim_start_matches('_').len(), name.len());
    // A mangled name begins with underscores too, but a function has only one of those.
    if plainness(other) < plainness(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::dwarf::MAX_DEPTH;
    use super::*;
    use crate::sys::Modules;
    use crate::sys::mutation::{damaged, terminates};

    /// Real files to damage: DWARF 5 from gcc, the same with sections compressed in both ways,
    /// DWARF 4 from gcc without what dwz has moved elsewhere, DWARF 4 from rustc, and DWARF 5 from
    /// rustc, split and packed in the same file. `testdata/build.sh` made them.
    const FILES: [&[u8]; 6] = [
        include_bytes!("../../../testdata/small-c-none.so"),
        include_bytes!("../../../testdata/small-c-zlib.so"),
        include_bytes!("../../../testdata/small-c-zstd.so"),
        include_bytes!("../../../testdata/small-c-dwz.so"),
        include_bytes!("../../../testdata/small-rust.so"),
        include_bytes!("../../../testdata/small-rust-split.so"),
    ];

    #[test]
    fn a_function_of_the_c_library_is_named_without_its_lines() {
        let address = Address::Exact(libc::getpid as *const () as u64);
        let modules = Modules::load();
        let module = modules.find(address.value()).expect("it is in some module");
        let files = ModuleFiles::open(module).unwrap();
        if is_c_library(&module.path) {
            assert_eq!(files.names(module, &[address]).get(&address.lookup()).unwrap(), "getpid");
            assert!(!files.has_lines(module));
        } else {
            eprintln!("skipped: this test is linked statically");
        }
    }

    #[test]
    fn a_function_without_a_size_reaches_to_the_next_one() {
        let mut bytes = FILES[0].to_vec();
        let functions = functions_of(&bytes);
        let names = |bytes: &[u8], offset: u64| {
            let (file, address) = (Elf::parse(bytes).unwrap(), Address::Exact(offset));
            names_in(&[file], &Module::default(), &[address]).get(&address.lookup()).cloned()
        };
        let [(start, size, name), (next, _, next_name), ..] = &functions[..] else { panic!() };
        assert_eq!(names(&bytes, start + size - 1).as_ref(), Some(name));
        let (last, last_size, last_name) = functions.last().unwrap();
        assert_eq!(names(&bytes, last + last_size - 1).as_ref(), Some(last_name));
        assert_eq!(names(&bytes, last + last_size), None, "its size is known");

        for name in [name, last_name] {
            erase_size(&mut bytes, name);
        }
        assert_eq!(names(&bytes, start - 1), None);
        assert_eq!(names(&bytes, *start).as_ref(), Some(name));
        assert_eq!(names(&bytes, next - 1).as_ref(), Some(name));
        assert_eq!(names(&bytes, *next).as_ref(), Some(next_name));
        assert_eq!(names(&bytes, last + last_size - 1).as_ref(), Some(last_name));
        assert_eq!(names(&bytes, last + last_size), None, "it is not in the section");
    }

    #[test]
    fn a_function_without_a_size_does_not_reach_far() {
        let names = |end| {
            let start = Start { address: 0x1000, open: Some(("f", end)) };
            let preceding = Preceding { sections: Vec::new(), last: vec![Some(start), None, None] };
            let wanted = [(0x1000, 1), (0x1000 + MOST_WITHOUT_SIZE - 1, 2), (0x1000 + MOST_WITHOUT_SIZE, 3)];
            preceding.names(&wanted).collect::<Vec<_>>()
        };
        assert_eq!(names(u64::MAX), [(0, "f"), (1, "f")]);
        assert_eq!(names(0x1001), [(0, "f")]);
    }

    /// The functions in a file by address, with their sizes and names.
    fn functions_of(bytes: &[u8]) -> Vec<(u64, u64, String)> {
        let file = Elf::parse(bytes).unwrap();
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        let mut functions: Vec<_> = functions
            .map(|symbol| (symbol.address(), symbol.size(), symbol.name().unwrap().to_owned()))
            .collect();
        functions.sort_unstable();
        functions
    }

    /// Removes a function's size in both symbol tables.
    fn erase_size(bytes: &mut [u8], name: &str) {
        let file = Elf::parse(bytes).unwrap();
        let offset_of = |table: &str| file.section_by_name(table).unwrap().file_range().unwrap().0;
        let symbols = file.symbols().map(|symbol| (".symtab", symbol.index().0, symbol.name()));
        let exported = file.dynamic_symbols().map(|symbol| (".dynsym", symbol.index().0, symbol.name()));
        let entries: Vec<_> = symbols
            .chain(exported)
            .filter(|(.., other)| *other == Ok(name))
            .map(|(table, index, _)| usize::try_from(offset_of(table)).unwrap() + index * 24)
            .collect();
        for entry in entries {
            // The last field of a symbol.
            bytes[entry + 16..entry + 24].fill(0);
        }
    }

    /// Every fourth address of a test file; all of its code is below this.
    fn addresses() -> Vec<u64> {
        (0..0x2000).step_by(4).collect()
    }

    #[test]
    fn the_test_files_have_functions_to_damage() {
        for file in FILES {
            let functions = resolve_bytes(file, &addresses());
            assert!(functions > 10, "{functions}");
        }
    }

    proptest! {
        #[test]
        fn damaged_files_are_read_without_panics_and_in_finite_time(file in select(FILES.to_vec()).prop_flat_map(damaged)) {
            let addresses = addresses();
            let most = addresses.len() * MAX_DEPTH;
            prop_assert!(terminates(move || resolve_bytes(&file, &addresses)) <= most);
        }
    }

    #[test]
    fn the_plain_name_is_preferred() {
        assert_eq!(better("__GI___libc_read", "read"), "read");
        assert_eq!(better("read", "__read"), "read");
        assert!(is_c_library("/lib/x86_64-linux-gnu/libc.so.6") && !is_c_library("/usr/lib/libcrypto.so.3"));
    }
}
