//! The command as one file that needs no library, linked statically with musl. The process that it looks
//! at has glibc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64, PT_INTERP};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use serde_json::Value;

use crate::service::{Service, folder, list};
use crate::tools;

/// The path of the command. It is built if that has not been done: `cargo xtask test` builds it before
/// it runs the tests. `None` if there is no compiler for it.
fn command() -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "xtask", "--", "static"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains(" is not set up: ") {
        tools::missing("the compiler for musl");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).expect("text");
    Some(printed.lines().last().expect("its path").into())
}

/// The loader that a program names, and the libraries.
fn needed(path: &Path) -> (bool, usize) {
    let bytes = fs::read(path).expect("a file");
    let header = FileHeader64::<Endianness>::parse(&*bytes).expect("an executable");
    let endian = header.endian().expect("a byte order");
    let segments = header.program_headers(endian, &*bytes).expect("segments");
    let has_loader = segments.iter().any(|segment| segment.p_type(endian) == PT_INTERP);
    let entries = segments.iter().filter_map(|segment| segment.dynamic(endian, &*bytes).expect("entries"));
    let libraries = entries.flatten().filter(|entry| entry.tag(endian) == DT_NEEDED);
    (has_loader, libraries.count())
}

#[test]
fn a_static_build_does_with_a_process_what_the_other_one_does() {
    assert!(needed(Path::new(env!("CARGO_BIN_EXE_gmr"))).0, "the other one has a loader");
    let Some(command) = command() else { return };
    assert_eq!(needed(&command), (false, 0), "{}", command.display());
    let run = |arguments: &[&str]| {
        let output = Command::new(&command).args(arguments).output().expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    };
    let mut service = Service::start();
    service.tell("pay");
    let pid = service.pid().to_string();
    let listed: Value = serde_json::from_str(&run(&["list", "--json"])).expect("JSON");
    let found = list(&listed["processes"]).iter().find(|process| process["pid"] == service.pid());
    assert_eq!(found.expect("it is listed")["service"], "shop");
    let is_whole = |text: &str| text.contains("service::pay") && text.contains("tests/service.rs:");
    assert!(is_whole(&run(&["report", &pid])));
    let saved = folder("static").join("report.json").display().to_string();
    run(&["report", &pid, "-o", &saved]);
    assert!(is_whole(&run(&["view", &saved])));
    assert!(run(&["top", &pid, "--seconds", "1"]).contains("service::pay"));
    assert!(run(&["doctor", &pid]).contains("debug information"));
}
