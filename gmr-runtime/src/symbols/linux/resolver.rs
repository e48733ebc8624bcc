//! From addresses in one module to functions, files and lines: by its debug information, or by its symbol tables where there is none.
//!
//! All that is loaded for it is given back when the module is done.

use std::collections::HashMap;

use object::{Object, ObjectSymbol, SymbolKind};

use super::debug_files::{self, Elf, Sections};
use super::dwarf::{self, readable};
use crate::capture::Address;
use crate::symbols::Symbol;
use crate::sys::Module;

/// Resolves these addresses of one module, and hands over each with its symbols, innermost first; none where there are none.
pub(crate) fn resolve(module: &Module, addresses: &[Address], mut each: impl FnMut(Address, Vec<Symbol>)) {
    let Some(mapped) = debug_files::own_file(module) else { return nothing(addresses, each) };
    let Ok(file) = Elf::parse(&mapped[..]) else { return nothing(addresses, each) };
    let separate =
        if debug_files::has_debug_info(&file) { None } else { debug_files::separate_file(module, &file) };
    let separate = separate.as_ref().and_then(|mapped| Elf::parse(&mapped[..]).ok());
    let with_debug_info = separate.as_ref().unwrap_or(&file);

    let names = Names::find([Some(&file), separate.as_ref()].into_iter().flatten(), module, addresses);
    let mut found = HashMap::new();
    if !is_c_library(&module.path) {
        let mut probes: Vec<u64> =
            addresses.iter().map(|address| address.lookup().wrapping_sub(module.bias)).collect();
        probes.sort_unstable();
        let sections = Sections::load(with_debug_info);
        // What it has found before it failed is found.
        let _ = dwarf::find(&sections.dwarf(), &probes, |probe, symbols| drop(found.insert(probe, symbols)));
    }
    for &address in addresses {
        let probe = address.lookup().wrapping_sub(module.bias);
        let mut symbols = found.get(&probe).cloned().unwrap_or_default();
        // Debug information of lines alone, or of nothing at all: the symbol tables still name the function, and say which module and type it is of.
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

fn is_qualified(name: &str) -> bool {
    name.contains("::")
}

/// Whether this is one of the C library's own modules: of those, functions are named and lines are not told.
///
/// Their debug information, where a distribution has it installed, is compressed and comes in thousands of small units: on a small program it took 45 of the 64 ms of a first report, and
/// left 17 of 20 MiB behind in the allocator. What it tells is at which line of `read.c` the program waits in `read`.
fn is_c_library(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    ["libc.so.", "libc-2.", "libm.so.", "libm-2.", "libpthread", "ld-linux", "ld-2."]
        .iter()
        .any(|name| file.starts_with(name))
}

fn nothing(addresses: &[Address], mut each: impl FnMut(Address, Vec<Symbol>)) {
    for &address in addresses {
        each(address, Vec::new());
    }
}

/// The names that symbol tables have for some addresses.
///
/// The tables are gone through once for all addresses; to sort them would take memory in proportion to the program.
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
        Self { by_address: by_address.into_iter().map(|(address, name)| (address, readable(name))).collect() }
    }

    fn get(&self, address: Address) -> Option<String> {
        self.by_address.get(&address.lookup()).cloned()
    }
}

/// The name that people call, where a function has several: `read` before `__GI___libc_read`.
fn better<'a>(one: &'a str, other: &'a str) -> &'a str {
    let plainness = |name: &str| (name.len() - name.trim_start_matches('_').len(), name.len());
    // A mangled name begins with underscores of its own, and has no rival that counts.
    if plainness(other) < plainness(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Modules;

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

    #[test]
    fn the_plain_name_wins() {
        assert_eq!(better("__GI___libc_read", "read"), "read");
        assert_eq!(better("read", "__read"), "read");
        assert!(is_c_library("/lib/x86_64-linux-gnu/libc.so.6") && !is_c_library("/usr/lib/libcrypto.so.3"));
    }
}
