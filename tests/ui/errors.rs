//! Checks the attributes' errors and the uses they accept: one mistake in each file under
//! `ui/fail`, one use in each file under `ui/pass`.
//!
//! `TRYBUILD=overwrite` updates `ui/fail/*.stderr`. Read the difference: users will.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

#[test]
fn attributes() {
    // trybuild passes if a pattern matches no files.
    for folder in ["ui/fail", "ui/pass"] {
        assert!(sources(folder) > 0, "no test in {folder}");
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/fail/*.rs");
    cases.pass("ui/pass/*.rs");
}

fn sources(folder: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .filter(|file| file.as_ref().is_ok_and(|file| file.path().extension() == Some(OsStr::new("rs"))))
        .count()
}
