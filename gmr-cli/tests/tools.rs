//! What happens where a tool is missing that a test compares the command with: on a developer's
//! machine the test says that it is skipped. In CI (where `CI` is set) it fails: a test that silently
//! never runs checks nothing.

use std::env;

/// The test can't run without this tool. Panics in CI.
#[track_caller]
pub(crate) fn missing(tool: &str) {
    let problem = format!("{tool} is missing; `cargo xtask setup` installs it");
    let ci = env::var("CI").unwrap_or_default();
    assert!(["", "0", "false"].contains(&&*ci), "{problem}");
    eprintln!("skipped: {problem}");
}
