//! Programs that a compiler has just built, with their debug information in one file, split, packed
//! and compressed: the same is found in all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::debug_files::Elf;
use super::resolver::ModuleFiles;
use super::split::package_path;
use crate::capture::Address;
use crate::symbols::Symbol;
use crate::symbols::split_files::SplitFiles;
use crate::sys::Module;
use crate::sys::linux::modules::hexadecimal;

/// A directory with the program's source, removed at the end of the test.
struct Workshop(PathBuf);

/// What is known of a place in the program's own functions: their names, files, lines, and source
/// lines.
type Found = BTreeMap<(String, u64), Vec<(Option<String>, Option<String>, Option<u32>, Option<String>)>>;

impl Workshop {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().canonicalize().unwrap();
        let path = path.join(format!("gmr-symbols-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/split.rs");
        // Not `copy`, which keeps who may read it.
        fs::write(path.join("split.rs"), fs::read(source).unwrap()).unwrap();
        Self(path)
    }

    /// Compiles the program, and returns its path. None if this machine's linker cannot do it.
    fn build(&self, name: &str, arguments: &[&str]) -> Option<PathBuf> {
        let path = self.0.join(name);
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(compiler);
        command.current_dir(&self.0).args(["--edition", "2024", "-g", "-C", "opt-level=2"]);
        command.args(arguments).arg("-o").arg(&path).arg(self.0.join("split.rs"));
        let output = command.output().expect("there is a compiler");
        if !output.status.success() {
            eprintln!("skipped {name}: {}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success().then_some(path)
    }

    /// The files in it that end like this.
    fn files(&self, end: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is found throughout the program's own functions, and what is reported missing.
fn found_in(path: &Path) -> (Found, Option<String>) {
    found_where(path, |name| name.contains("5split5stock") || name.contains("split..stock"))
}

/// The same of the functions with these names in the symbol table.
fn found_where(path: &Path, own: impl Fn(&str) -> bool) -> (Found, Option<String>) {
    let bytes = fs::read(path).unwrap();
    let file = Elf::parse(&*bytes).unwrap();
    let functions: Vec<(String, u64, u64)> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.name().is_ok_and(&own))
        .map(|symbol| (symbol.name().unwrap().to_owned(), symbol.address(), symbol.size()))
        .collect();
    assert!(!functions.is_empty());
    let places = functions.iter().flat_map(|(name, begin, size)| {
        (0..*size).map(move |offset| (begin + offset, (name.clone(), offset)))
    });
    let places: BTreeMap<u64, (String, u64)> = places.collect();
    let module = Module {
        path: path.to_str().unwrap().to_owned(),
        build_id: file.build_id().unwrap().map(hexadecimal),
        ..Module::default()
    };
    let addresses: Vec<Address> = places.keys().map(|&address| Address::Exact(address)).collect();
    let files = ModuleFiles::open(&module).unwrap();
    let names = files.names(&module, &addresses);
    let found = Mutex::new(Found::new());
    let missing = files.resolve(&module, &SplitFiles::default(), &addresses, &names, &|address, symbols| {
        let described = |symbol: Symbol| (symbol.function, symbol.file, symbol.line, symbol.source);
        let place = places[&address.value()].clone();
        found.lock().unwrap().insert(place, symbols.into_iter().map(described).collect());
    });
    (found.into_inner().unwrap(), missing)
}

/// The same is found in a program as in another one, and nothing is missing.
fn is_the_same(path: &Path, expected: &Found, what: &str) {
    let (found, missing) = found_in(path);
    assert_eq!(missing, None, "{what}");
    assert!(found.keys().eq(expected.keys()), "{what}: another program");
    for (place, symbols) in found {
        assert_eq!(symbols, expected[&place], "{what}: {place:?}");
    }
}

/// The functions that were found, each once.
fn functions(found: &Found) -> Vec<&str> {
    let mut names: Vec<&str> =
        found.values().flatten().filter_map(|(function, ..)| function.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn split_debug_information_says_the_same_as_that_in_one_file() {
    for version in ["4", "5"] {
        let workshop = Workshop::new(&format!("split-{version}"));
        let dwarf = format!("dwarf-version={version}");
        let build = |name: &str, split: &str| {
            workshop.build(name, &["-C", &dwarf, "-C", &format!("split-debuginfo={split}")]).unwrap()
        };
        let (expected, missing) = found_in(&build("whole", "off"));
        assert_eq!(missing, None);
        let names = functions(&expected);
        assert!(names.iter().any(|name| name.ends_with("split::doubled")), "inlined: {names:?}");
        assert!(names.iter().any(|name| name.contains("Mutex")), "inlined from std: {names:?}");
        assert!(expected.values().flatten().all(|(function, ..)| function.is_some()));
        let line = expected.values().flatten().find_map(|(.., source)| source.as_deref());
        assert!(line.is_some_and(|line| !line.is_empty()), "source lines");

        let packed = build("packed", "packed");
        assert!(package_path(&packed).exists() && workshop.files(".dwo").is_empty());
        is_the_same(&packed, &expected, &format!("packed, DWARF {version}"));
        let unpacked = build("unpacked", "unpacked");
        assert!(!workshop.files(".dwo").is_empty());
        is_the_same(&unpacked, &expected, &format!("unpacked, DWARF {version}"));

        // Moved elsewhere together, they are found beside the program.
        let elsewhere = Workshop::new(&format!("moved-{version}"));
        let moved = elsewhere.0.join("unpacked");
        fs::rename(&unpacked, &moved).unwrap();
        for file in workshop.files(".dwo") {
            fs::rename(&file, elsewhere.0.join(file.file_name().unwrap())).unwrap();
        }
        is_the_same(&moved, &expected, &format!("moved, DWARF {version}"));

        // The package of another build is not used in its place.
        let other =
            workshop.build("other", &["-C", &dwarf, "-C", "split-debuginfo=packed", "-C", "overflow-checks"]);
        fs::rename(package_path(&other.unwrap()), package_path(&packed)).unwrap();
        is_without_lines(&packed, &expected);
        fs::remove_file(package_path(&packed)).unwrap();
        is_without_lines(&packed, &expected);
        for file in elsewhere.files(".dwo") {
            fs::remove_file(file).unwrap();
        }
        is_without_lines(&moved, &expected);
    }
}

/// Each function has the name of its symbol, and no line: that could be of an inlined function.
fn is_without_lines(path: &Path, expected: &Found) {
    let (found, missing) = found_in(path);
    assert_eq!(found.len(), expected.len());
    for (place, symbols) in found {
        let outermost = expected[&place].last().unwrap().0.clone();
        assert_eq!(symbols, [(outermost, None, None, None)], "{place:?}");
    }
    let missing = missing.expect("it says so");
    assert!(
        missing.starts_with("inlined functions and lines are missing: the split debug information of"),
        "{missing}"
    );
    assert!(missing.contains(".dwp or in files such as /"), "{missing}");
}

#[test]
fn compressed_debug_information_says_the_same() {
    let workshop = Workshop::new("compressed");
    let (expected, _) = found_in(&workshop.build("plain", &[]).unwrap());
    for format in ["zlib", "zstd"] {
        let argument = format!("link-arg=-Wl,--compress-debug-sections={format}");
        let Some(path) = workshop.build(format, &["-C", &argument]) else { continue };
        let bytes = fs::read(&path).unwrap();
        let file = Elf::parse(&*bytes).unwrap();
        let section = file.section_by_name(".debug_info").unwrap().compressed_data().unwrap();
        assert_ne!(section.format, object::CompressionFormat::None);
        is_the_same(&path, &expected, format);
    }
}

#[test]
fn an_index_of_the_linker_leads_to_the_same() {
    let workshop = Workshop::new("index");
    let (expected, _) = found_in(&workshop.build("plain", &[]).unwrap());
    let arguments = ["-C", "link-arg=-fuse-ld=gold", "-C", "link-arg=-Wl,--gdb-index"];
    let Some(path) = workshop.build("indexed", &arguments) else { return };
    let bytes = fs::read(&path).unwrap();
    let file = Elf::parse(&*bytes).unwrap();
    assert!(file.section_by_name(".gdb_index").is_some());
    is_the_same(&path, &expected, "indexed");
}

#[test]
fn source_lines_are_those_that_were_compiled() {
    for version in ["4", "5"] {
        let workshop = Workshop::new(&format!("source-{version}"));
        let path = workshop.build("program", &["-C", &format!("dwarf-version={version}")]).unwrap();
        let lines = || {
            let (found, _) = found_in(&path);
            let own = |file: &Option<String>| file.as_deref().is_some_and(|file| file.ends_with("/split.rs"));
            let own: Vec<_> = found.into_values().flatten().filter(|(_, file, ..)| own(file)).collect();
            assert!(!own.is_empty() && own.iter().any(|(.., line, _)| line.is_some()));
            own.into_iter().filter_map(|(.., source)| source).collect::<Vec<_>>()
        };
        assert!(lines().iter().any(|line| line.contains("all.push(doubled(number))")), "DWARF {version}");
        let source = workshop.0.join("split.rs");
        let text = fs::read_to_string(&source).unwrap();
        fs::write(&source, format!("// A line more.\n{text}")).unwrap();
        assert_eq!(lines(), Vec::<String>::new(), "DWARF {version}");
        // Rewritten with the same content, which rustc's debug information cannot tell.
        fs::write(&source, text).unwrap();
        assert_eq!(lines(), Vec::<String>::new(), "DWARF {version}");
    }
}

#[test]
fn names_that_dwz_has_moved_to_another_file_are_found_there() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let path = Path::new(data).join("small-c-dwz.so");
    let (found, missing) = found_where(&path, |name| name == "entry");
    assert_eq!(missing, None);
    let names = functions(&found);
    assert!(["entry", "sum", "doubled"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(found.values().flatten().all(|(function, _, line, _)| function.is_some() && line.is_some()));

    // Alone, it says so; and its own names stay.
    let workshop = Workshop::new("dwz");
    let alone = workshop.0.join("small-c-dwz.so");
    fs::copy(&path, &alone).unwrap();
    let (found, missing) = found_where(&alone, |name| name == "entry");
    assert_eq!(
        missing.unwrap(),
        "names may be missing: the supplementary file small-c-dwz.debug was not found"
    );
    assert_eq!(functions(&found), ["entry"]);
    // Another file of that name is not used in its place.
    fs::copy(&path, workshop.0.join("small-c-dwz.debug")).unwrap();
    assert!(found_where(&alone, |name| name == "entry").1.is_some());
}
