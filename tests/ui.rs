//! What the attributes say to those who make mistakes, and what they put up with: one mistake in each file under `ui/fail`, one use in each file
//! under `ui/pass`.
//!
//! The texts in `ui/fail/*.stderr` are read by people: whoever changes one reads it aloud.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

#[test]
fn the_attributes_speak_plainly() {
    // trybuild is content with a pattern that matches nothing.
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
