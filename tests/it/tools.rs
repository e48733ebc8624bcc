//! Tools that some tests compare reports with, and what happens where one is missing.
//!
//! On a developer's machine such a test says that it is skipped. In CI (where `CI` is set) it
//! fails: a test that silently never runs checks nothing.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The test can't run without this tool. Panics in CI.
pub(crate) fn missing(tool: &str) {
    unusable(&format!("{tool} is missing"), "`cargo xtask setup` installs it");
}

/// The test can't run for another reason. Panics in CI.
pub(crate) fn unusable(problem: &str, remedy: &str) {
    match outcome(problem, remedy, std::env::var_os("CI").as_deref()) {
        Ok(skipped) => eprintln!("{skipped}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// A Python with the modules that `views.py` needs: the one that `cargo xtask test` names, or the
/// one that `cargo xtask setup` has left in the target directory.
pub(crate) fn python_with_modules() -> Option<OsString> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    std::env::var_os("GMR_TEST_PYTHON").or_else(|| installed.exists().then(|| installed.into()))
}

/// Any Python.
pub(crate) fn python() -> OsString {
    python_with_modules().unwrap_or_else(|| "python3".into())
}

fn outcome(problem: &str, remedy: &str, ci: Option<&OsStr>) -> Result<String, String> {
    let in_ci = ci.is_some_and(|value| !["", "0", "false"].contains(&value.to_string_lossy().as_ref()));
    if in_ci { Err(format!("{problem}: {remedy}")) } else { Ok(format!("skipped: {problem}: {remedy}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_fails_in_ci_and_is_named_elsewhere() {
        let outcome = |ci: Option<&str>| outcome("gdb is missing", "install it", ci.map(OsStr::new));
        for ci in ["true", "1", "yes"] {
            assert_eq!(outcome(Some(ci)), Err("gdb is missing: install it".into()));
        }
        for ci in [None, Some(""), Some("false"), Some("0")] {
            assert_eq!(outcome(ci), Ok("skipped: gdb is missing: install it".into()));
        }
    }
}
