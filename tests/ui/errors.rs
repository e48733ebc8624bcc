//! Checks the attributes' errors: there is one mistake in each file under `fail`. What the
//! attributes accept is in `tests/pass`: each file is a program that must succeed.
//!
//! `TRYBUILD=overwrite` updates `fail/*.stderr`. Read the difference: users will.
//!
//! This package depends on gmr without any feature, and on nothing else that has to be compiled for
//! it: trybuild checks all dependencies once more, in a separate directory.

use std::fs;

/// trybuild checks them all at once, which takes seconds. With a program to run among them, it
/// would compile them one by one.
#[test]
fn mistakes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fail");
    // trybuild passes if a pattern matches no files.
    assert!(fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()), "no test in {folder}");
    trybuild::TestCases::new().compile_fail("fail/*.rs");
}
