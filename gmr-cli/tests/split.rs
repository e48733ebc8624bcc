//! `gmr symbolize` with split debug information: the same names and lines as with all of it in one file.
//! The program is one that the compiler has just built, and the report has all addresses of its
//! functions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object as _, ObjectSymbol as _};
use serde_json::{Value, json};

use crate::service::{Done, Service, file, folder, gmr};
use crate::symbolize::{has, stacks};

const SOURCE: &str = r#"
use std::sync::Mutex;

fn main() {
    println!("{}", shop::till(std::env::args().count()));
}

mod shop {
    #[inline(always)]
    fn doubled(number: usize) -> usize {
        std::hint::black_box(number).wrapping_mul(2)
    }

    #[inline(never)]
    pub fn till(count: usize) -> usize {
        let all = super::Mutex::new(Vec::new());
        for number in 0..count {
            all.lock().expect("no holder panics").push(doubled(number));
        }
        all.into_inner().expect("no holder panics").into_iter().sum()
    }
}
"#;

/// A folder with the source.
struct Workshop(PathBuf);

impl Workshop {
    fn new(name: &str) -> Self {
        let folder = folder(&format!("split-{name}"));
        fs::create_dir(folder.join("build")).expect("a folder");
        file(&folder.join("build"), "shop.rs", SOURCE);
        Self(folder)
    }

    /// Compiles the program, with its split debug information beside it.
    fn build(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.0.join("build").join(name);
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(compiler);
        command.current_dir(self.0.join("build")).args(["--edition", "2024", "-g", "-C", "opt-level=2"]);
        let output = command.args(arguments).arg("-o").arg(&path).arg("shop.rs").output();
        let output = output.expect("there is a compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// Moves the files of the build that end like this to a folder for debug information.
    fn moved(&self, end: &str, folder: &str) -> PathBuf {
        let folder = self.0.join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        let mut count = 0;
        for entry in fs::read_dir(self.0.join("build")).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.to_str().is_some_and(|path| path.ends_with(end)) {
                let to = folder.join(path.file_name().expect("a name"));
                fs::rename(path, to).expect("they are on one disk");
                count += 1;
            }
        }
        assert!(count > 0, "no {end}");
        folder
    }

    /// A report whose threads are at each address of the program's own functions, without names, as of a
    /// program that was stripped and is somewhere else now.
    fn report(&self, template: &Value, program: &Path) -> String {
        let bytes = fs::read(program).expect("a file");
        let file_ = object::File::parse(&*bytes).expect("an executable");
        let id = file_.build_id().expect("notes").expect("it has one");
        let id = id.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let own = file_.symbols().filter(|symbol| {
            symbol.name().is_ok_and(|name| name.contains("4shop4till") || name.contains("shop..till"))
        });
        let addresses: Vec<u64> =
            own.flat_map(|symbol| symbol.address()..symbol.address() + symbol.size()).collect();
        assert!(addresses.len() > 20, "{addresses:?}");
        let mut report = template.clone();
        report["frames"] = addresses
            .iter()
            .map(|address| {
                json!({ "address": address, "module": "/gone/shop", "module_offset": address, "build_id": id,
                        "inlined": false })
            })
            .collect();
        let sections = report["sections"].as_array_mut().expect("sections");
        let threads = sections.iter_mut().find(|section| section["title"] == "Threads").expect("Threads");
        let threads = threads["content"]["data"]["threads"].as_array_mut().expect("threads");
        let mut thread =
            threads.iter().find(|thread| thread["role"] == "main").expect("the main thread").clone();
        *threads = (0..addresses.len())
            .map(|index| {
                thread["tid"] = (index + 1).into();
                thread["stack"]["frames"] = json!([index]);
                thread.clone()
            })
            .collect();
        let name = program.file_name().expect("a name").to_string_lossy().into_owned();
        file(&self.0, &format!("{name}.json"), report.to_string())
    }

    /// Its debug information alone, in this folder.
    fn kept(&self, program: &Path, folder: &str) -> PathBuf {
        let folder = self.0.join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        let name = program.file_name().expect("a name").to_string_lossy().into_owned();
        let debug = folder.join(format!("{name}.debug"));
        let status = Command::new("objcopy").arg("--only-keep-debug").args([program, &debug]).status();
        assert!(status.expect("objcopy is where the linker is").success());
        debug
    }
}

fn symbolized(report: &str, paths: &[&Path]) -> Done {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let paths = paths.iter().flat_map(|path| ["-d", path]);
    gmr(&["symbolize", report, "-f", "json"].into_iter().chain(paths).collect::<Vec<_>>())
}

#[track_caller]
fn is_the_same(report: &str, paths: &[&Path], expected: &[Vec<String>]) {
    let done = symbolized(report, paths);
    assert_eq!(done.code, Some(0), "{}", done.errors);
    assert!(!done.errors.contains("missing"), "{}", done.errors);
    let found = stacks(&done.output);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
}

/// Functions have the names of their symbols, and no lines.
#[track_caller]
fn is_without_lines(report: &str, paths: &[&Path]) {
    let done = symbolized(report, paths);
    assert_eq!(done.code, Some(0), "{}", done.errors);
    assert!(done.errors.contains("the split debug information of"), "{}", done.errors);
    let found = stacks(&done.output);
    assert!(has(&found, "shop::till"), "{:?}", found.first());
    assert!(!has(&found, "shop.rs") && !has(&found, "doubled"), "{:?}", found.first());
}

#[test]
fn split_debug_information_that_was_moved_says_the_same_as_that_in_one_file() {
    let template: Value = {
        let mut service = Service::start();
        serde_json::from_str(&service.report()).expect("JSON")
    };
    for version in ["4", "5"] {
        let workshop = Workshop::new(version);
        let dwarf = format!("dwarf-version={version}");
        let build = |name: &str, split: &str, other: &[&str]| {
            let split = format!("split-debuginfo={split}");
            workshop.build(name, &[&["-C", &dwarf, "-C", &split], other].concat())
        };
        let whole = build("whole", "off", &[]);
        let done = symbolized(&workshop.report(&template, &whole), &[&whole]);
        assert_eq!(done.code, Some(0), "{}", done.errors);
        let expected = stacks(&done.output);
        for part in ["shop::till", "shop::doubled", "shop.rs", "Mutex"] {
            assert!(has(&expected, part), "no {part}: {:?}", expected.first());
        }

        // A package, whatever it is called, and the file without code.
        let packed = build("packed", "packed", &[]);
        let report = workshop.report(&template, &packed);
        is_the_same(&report, &[&packed], &expected);
        let debug = workshop.kept(&packed, "debug");
        is_without_lines(&report, &[&debug]);
        let packages = workshop.moved("packed.dwp", "debug/packages");
        let package = packages.join("of-shop.dwp");
        fs::rename(packages.join("packed.dwp"), &package).expect("it is there");
        is_the_same(&report, &[&workshop.0.join("debug")], &expected);
        is_the_same(&report, &[&debug, &package], &expected);
        is_without_lines(&report, &[&packed]);

        // That of another build is not used.
        build("other", "packed", &["-C", "opt-level=1"]);
        fs::copy(workshop.0.join("build/other.dwp"), &package).expect("it is there");
        is_without_lines(&report, &[&workshop.0.join("debug")]);

        // Files of single units.
        let unpacked = build("unpacked", "unpacked", &[]);
        let report = workshop.report(&template, &unpacked);
        is_the_same(&report, &[&unpacked], &expected);
        let units = workshop.moved(".dwo", "units/release/deps");
        is_without_lines(&report, &[&unpacked]);
        is_the_same(&report, &[&unpacked, &units], &expected);
        workshop.kept(&unpacked, "units");
        is_the_same(&report, &[&workshop.0.join("units")], &expected);

        // Those of another build have the same names.
        build("unpacked", "unpacked", &["-C", "opt-level=1"]);
        workshop.moved(".dwo", "units/release/deps");
        is_without_lines(&report, &[&workshop.0.join("units")]);
    }
}
