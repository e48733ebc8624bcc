//! Sections that panic or fail cost the report nothing but themselves, whether panics unwind or abort.

use std::path::{Path, PathBuf};

use crate::program::{Program, program};

fn failures_stay_in_their_place(path: impl AsRef<std::ffi::OsStr>) {
    let mut program = Program::start(path);
    for number in 1..=3 {
        let report = program.report();
        assert_eq!(report.number(), number);
        let titles = report.titles();
        let base = ["Package", "Threads", "Green Threads", "Processes", "Configuration"];
        assert_eq!(titles, [&base[..], &["Broken", "Cache", "Empty", "Last"]].concat());
        let broken = report.section("Broken");
        assert!(broken.starts_with("panicked at "), "{broken}");
        let (line, stack) = broken.split_once('\n').unwrap_or((broken, ""));
        assert!(line.contains("panicking.rs:") && line.ends_with(": no orders left"), "{broken}");
        assert!(stack.contains("panicking.rs:") && stack.contains(" in panicking::broken\n"), "{broken}");
        assert!(!stack.contains("std::panicking"), "{broken}");
        assert_eq!(
            report.section("Cache"),
            "error: the cache does not answer at redis://cache:***@10.0.0.7/0"
        );
        assert_eq!(report.section("Empty"), "(nothing to show)");
        let configuration = report.section("Configuration");
        assert!(configuration.contains("sound:\n  host = db1\n  mode = rw"), "{configuration}");
        assert!(configuration.contains("Broken Group:\n  panicked at "), "{configuration}");
        assert_eq!(report.section("Last"), "whole");
        assert_eq!(program.ask("still there?"), "still there?");
    }
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "no panic message beside the report");
}

#[test]
fn where_panics_unwind() {
    failures_stay_in_their_place(program!("panicking"));
}

#[test]
fn where_panics_abort() {
    failures_stay_in_their_place(aborting());
}

/// The same program, built with panics that abort; `cargo xtask test` has done so, another way of running the tests does it here.
fn aborting() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--package", "gmr-tests", "--bin", "panicking", "--profile", "aborting"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the program could not be built");
    // target/debug/panicking → target/aborting/panicking
    let target = Path::new(program!("panicking"))
        .parent()
        .and_then(Path::parent)
        .expect("it stands in a profile's folder");
    target.join("aborting").join("panicking")
}
