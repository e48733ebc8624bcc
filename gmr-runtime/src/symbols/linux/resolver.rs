//! Resolves addresses in one module to functions, files and lines: with its debug information, or
//! with its symbol tables where there is none.
//!
//! Everything that is loaded for a module is unmapped before the next one.

use std::collections::HashMap;

use object::{Object, ObjectSymbol, SymbolKind};

use super::debug_files::{self, Elf, Sections};
use super::dwarf::{self, demangled};
use crate::capture::Address;
use crate::symbols::Symbol;
use crate::sys::Module;

/// Resolves these addresses of one module, and calls `each` with every address and its symbols,
/// innermost first; with an empty list where nothing is known.
pub(crate) fn resolve(module: &Module, addresses: &[Address], each: impl FnMut(Address, Vec<Symbol>)) {
    let Some(mapped) = debug_files::own_file(module) else { return unresolved(addresses, each) };
    let Ok(file) = Elf::parse(&mapped[..]) else { return unresolved(addresses, each) };
    let separate =
        if debug_files::has_debug_info(&file) { None } else { debug_files::separate_file(module, &file) };
    let separate = separate.as_ref().and_then(|mapped| Elf::parse(&mapped[..]).ok());
    resolve_in(&file, separate.as_ref(), module, addresses, each);
}

/// Resolves addresses with the module's file and, if there is one, its separate debug file.
fn resolve_in(
    file: &Elf<'_>,
    separate: Option<&Elf<'_>>,
    module: &Module,
    addresses: &[Address],
    mut each: impl FnMut(Address, Vec<Symbol>),
) {
    let names = Names::find([Some(file), separate].into_iter().flatten(), module, addresses);
    let mut found = HashMap::new();
    if !is_c_library(&module.path) {
        let mut probes: Vec<u64> =
            addresses.iter().map(|address| address.lookup().wrapping_sub(module.bias)).collect();
        probes.sort_unstable();
        let sections = Sections::load(separate.unwrap_or(file));
        // After an error, what was found before it still counts.
        let _ = dwarf::find(&sections.dwarf(), &probes, |probe, symbols| drop(found.insert(probe, symbols)));
    }
    for &address in addresses {
        let probe = address.lookup().wrapping_sub(module.bias);
        let mut symbols = found.get(&probe).cloned().unwrap_or_default();
        // With debug information for lines only, or none, the symbol tables still have the
        // function's name, with the path to it.
        match (symbols.last_mut(), names.get(address)) {
            (Some(outermost), Some(name)) if !outermost.function.as_deref().is_some_and(is_qualified) => {
                outermost.function = Some(name);
            }
            (None, Some(name)) => symbols.push(Symbol { function: Some(name), ..Symbol::default() }),
            _ => {}
        }
        each(address, symbols);
    }
}

/// Reads the contents of an ELF file as `resolve` does, and returns the number of functions found
/// at these addresses.
#[cfg(any(test, feature = "__fuzz"))]
pub(crate) fn resolve_bytes(bytes: &[u8], addresses: &[u64]) -> usize {
    let Ok(file) = Elf::parse(bytes) else { return 0 };
    let module = Module { path: "/nonexistent/module".to_owned(), ..Module::default() };
    assert!(debug_files::separate_file(&module, &file).is_none());
    let addresses: Vec<Address> = addresses.iter().map(|&address| Address::Exact(address)).collect();
    let mut functions = 0;
    resolve_in(&file, None, &module, &addresses, |_, symbols| functions += symbols.len());
    functions
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

fn unresolved(addresses: &[Address], mut each: impl FnMut(Address, Vec<Symbol>)) {
    for &address in addresses {
        each(address, Vec::new());
    }
}

/// The names of some addresses in the symbol tables.
///
/// One pass over the tables finds all addresses. Sorting the tables would take memory in proportion
/// to the program.
struct Names {
    by_address: HashMap<u64, String>,
}

impl Names {
    fn find<'a: 'b, 'b>(
        files: impl Iterator<Item = &'b Elf<'a>>,
        module: &Module,
        addresses: &[Address],
    ) -> Self {
        let mut wanted: Vec<(u64, u64)> = addresses
            .iter()
            .map(|address| (address.lookup().wrapping_sub(module.bias), address.lookup()))
            .collect();
        wanted.sort_unstable();
        let mut by_address = HashMap::new();
        for file in files {
            for symbol in file.symbols().chain(file.dynamic_symbols()) {
                let (start, size) = (symbol.address(), symbol.size());
                if symbol.kind() != SymbolKind::Text || size == 0 {
                    continue;
                }
                let first = wanted.partition_point(|(offset, _)| *offset < start);
                let covered = wanted[first..].iter().take_while(|(offset, _)| *offset - start < size);
                for (_, address) in covered {
                    if let Ok(name) = symbol.name() {
                        let kept = by_address.entry(*address).or_insert(name);
                        *kept = better(kept, name);
                    }
                }
            }
        }
        Self {
            by_address: by_address.into_iter().map(|(address, name)| (address, demangled(name))).collect(),
        }
    }

    fn get(&self, address: Address) -> Option<String> {
        self.by_address.get(&address.lookup()).cloned()
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

    use super::dwarf::MAX_DEPTH;
    use super::*;
    use crate::sys::Modules;
    use crate::sys::mutation::{FILES, damaged_file, terminates};

    #[test]
    fn a_function_of_the_c_library_is_named_without_its_lines() {
        let address = Address::Exact(libc::getpid as *const () as u64);
        let modules = Modules::load();
        let module = modules.find(address.value()).expect("it is in some module");
        let mut found = Vec::new();
        resolve(module, &[address], |_, symbols| found = symbols);
        if is_c_library(&module.path) {
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].function.as_deref(), Some("getpid"));
            assert_eq!(found[0].line, None);
        } else {
            eprintln!("skipped: this test is linked statically");
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
        fn damaged_files_are_read_without_panics_and_in_finite_time(file in damaged_file()) {
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
