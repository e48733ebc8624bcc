//! `cargo xtask pods`: the crate that asks the pods of a Kubernetes cluster. It is outside of the
//! workspace, because of the client that it is built with, and `cargo xtask test` does not build it.

use crate::cargo::{cargo, root};
use crate::tools::{self, Tool};

const MANIFEST: &str = "gmr-pods/Cargo.toml";

/// Its dependencies have other features than the same crates in the workspace.
const TARGET: &str = "target/pods";

/// Checks its format, licences and lints, and runs its tests, from the versions in its lock file.
pub(crate) fn run() -> Result<(), String> {
    let missing = tools::provide(&[Tool::Deny, Tool::Certificates], true);
    if !missing.is_empty() {
        return Err(format!("not installed: {}", tools::list(&missing)));
    }
    cargo(&["fmt", "--check", "--manifest-path", MANIFEST], &[])?;
    let rules = root().join("gmr-pods/deny.toml").display().to_string();
    let deny = ["deny", "--locked", "--manifest-path", MANIFEST, "--config", &rules, "check"];
    cargo(&[&deny[..], &["bans", "licenses", "sources"]].concat(), &[])?;
    let on = ["--manifest-path", MANIFEST, "--target-dir", TARGET, "--locked"];
    cargo(&[&["clippy"], &on[..], &["--all-targets", "--", "--deny", "warnings"]].concat(), &[])?;
    let python = tools::python().display().to_string();
    cargo(&[&["test"], &on[..]].concat(), &[("GMR_TEST_PYTHON", python.as_str())])
}
