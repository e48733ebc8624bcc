//! The programs in `tests/programs`, built in other ways than those that cargo builds for the
//! tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::program;
use crate::tools;

/// The path of a program of this build, which `cargo xtask programs` has or lists. It is built if
/// that has not been done: `cargo xtask test` builds those that the tests use before it runs them.
///
/// `None` if its target is not set up, in which case the test is skipped, and fails in CI.
pub(crate) fn program_of(build: &str, program: &str) -> Option<PathBuf> {
    Some(built(&[build])?.join(program))
}

/// The same for a program that is not one of those that `cargo xtask test` builds.
pub(crate) fn single_program_of(build: &str, program: &str) -> Option<PathBuf> {
    Some(built(&[build, program])?.join(program))
}

/// The builds in which it is tested what findings report: optimized with `debug = 1`, without debug
/// information as cargo does it by default, with `debug = 1` and `lto = "fat"`, and a debug build with
/// `panic = "abort"`.
pub(crate) const OF_FINDINGS: [&str; 5] = ["debug", "release", "stripped", "lto", "aborting"];

/// The programs in which it is tested.
const ABOUT_FINDINGS: [&str; 9] =
    ["deadlock", "ends", "frames", "growing", "spinning", "standing", "stuck", "stuck_tasks", "unreachable"];

/// The folder with these programs of one of these builds.
pub(crate) fn of_findings(build: &str) -> PathBuf {
    if build == "debug" {
        return Path::new(program!("stuck")).parent().expect("a folder").to_owned();
    }
    built(&[&[build], &ABOUT_FINDINGS[..]].concat()).expect("it needs no tool")
}

/// The folder with the programs of a build.
fn built(arguments: &[&str]) -> Option<PathBuf> {
    let build = arguments[0];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "xtask", "--", "programs"])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains(" is not set up: ") {
        tools::unusable(&format!("the build `{build}`"), errors.trim_end());
        return None;
    }
    assert!(output.status.success(), "the programs of the build `{build}` could not be built:\n{errors}");
    let printed = String::from_utf8_lossy(&output.stdout);
    let folder = printed.lines().last().expect("the folder is the last line");
    Some(PathBuf::from(folder))
}
