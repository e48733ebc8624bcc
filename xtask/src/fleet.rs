//! `cargo xtask fleet`: the crate that writes the reports of many processes to tables, and answers
//! questions about them. It is outside of the workspace, because what it is built with takes minutes to compile, and
//! `cargo xtask test` does not build it.

use crate::cargo::{cargo, root};
use crate::tools::{self, Tool};

const MANIFEST: &str = "gmr-fleet/Cargo.toml";

/// Its dependencies have other features than the same crates in the workspace.
const TARGET: &str = "target/fleet";

/// Checks its format, licences and lints, and runs its tests, from the versions in its lock file.
/// With `write`, writes what is generated from the tables into the documentation.
pub(crate) fn run(write: bool) -> Result<(), String> {
    let engines = [Tool::DuckDb, Tool::ClickHouse, Tool::LogQl];
    let servers = [Tool::Moto, Tool::Otlp, Tool::Certificates, Tool::Browser];
    let missing = tools::provide(&[&[Tool::Deny][..], &engines, &servers].concat(), true);
    if !missing.is_empty() {
        return Err(format!("not installed: {}", tools::list(&missing)));
    }
    cargo(&["fmt", "--check", "--manifest-path", MANIFEST], &[])?;
    let rules = root().join("gmr-fleet/deny.toml").display().to_string();
    let deny = ["deny", "--locked", "--manifest-path", MANIFEST, "--config", &rules, "check"];
    cargo(&[&deny[..], &["bans", "licenses", "sources"]].concat(), &[])?;
    let on = ["--manifest-path", MANIFEST, "--target-dir", TARGET, "--locked"];
    cargo(&[&["clippy"], &on[..], &["--all-targets", "--", "--deny", "warnings"]].concat(), &[])?;
    let python = tools::python().display().to_string();
    let logql = tools::logql().display().to_string();
    let mut variables = vec![("GMR_TEST_PYTHON", python.as_str()), ("GMR_TEST_NPM", logql.as_str())];
    if write {
        variables.push(("GMR_TEST_WRITE_TABLES", "1"));
    }
    cargo(&[&["test"], &on[..]].concat(), &variables)
}
