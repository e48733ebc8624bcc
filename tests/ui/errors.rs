//! Checks the attributes' errors: one mistake in each file under `fail`. What they accept is in
//! `pass`, a program in each file, which must succeed.
//!
//! `TRYBUILD=overwrite` updates `fail/*.stderr`. Read the difference: users will.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// trybuild checks them all at once, which takes seconds. With a program to run among them, it
/// would compile them one by one.
#[test]
fn mistakes() {
    // trybuild passes if a pattern matches no files.
    assert!(!sources("fail").is_empty(), "no test in fail");
    trybuild::TestCases::new().compile_fail("fail/*.rs");
}

#[test]
fn each_use_is_a_target_of_this_package() {
    let manifest = fs::read_to_string(Path::new(PACKAGE).join("Cargo.toml")).expect("a manifest");
    let uses = sources("pass");
    assert!(!uses.is_empty(), "no program in pass");
    for name in uses {
        assert!(manifest.contains(&format!("\npath = \"pass/{name}\"\n")), "{name} is not in Cargo.toml");
    }
}

/// The names of the files in this folder.
fn sources(folder: &str) -> Vec<String> {
    let folder = Path::new(PACKAGE).join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = files.map(|file| file.expect("the folder can be read").path());
    let sources = paths.filter(|path| path.extension() == Some(OsStr::new("rs")));
    sources.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}
