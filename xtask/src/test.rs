//! `cargo xtask test`: everything that must hold before a change lands, cheapest first, so that most
//! mistakes show within seconds.

use crate::cargo::cargo;
use crate::package::{self, Uncommitted};
use crate::steps::Steps;
use crate::tools::{self, Tool};
use crate::{metadata, msrv};

/// Runs all steps, after installing the tools that are missing if `install` is set.
pub(crate) fn run(install: bool) -> Result<(), String> {
    let mut steps = Steps::default();
    let result = all(&mut steps, install);
    println!("\n{steps}");
    result
}

fn all(steps: &mut Steps, install: bool) -> Result<(), String> {
    let missing = steps.run("setup", || setup(install))?;
    steps.run("formatting", || cargo(&["fmt", "--all", "--check"], &[]))?;
    with(Tool::Deny, &missing, steps, "licences and sources", || {
        // Advisories need a database from the network, and what holds today may not hold tomorrow:
        // `cargo xtask release-check` checks them.
        cargo(&["deny", "check", "bans", "licenses", "sources"], &[])
    })?;
    steps.run("minimum Rust version", || msrv::check(&metadata::load()?))?;
    steps.run("lints", || clippy(&["--all-targets"]))?;
    steps.run("lints, all features", || {
        let packages = ["gmr", "gmr-bench", "gmr-macros", "gmr-runtime", "gmr-tests"];
        let packages = packages.iter().flat_map(|package| ["--package", package]);
        clippy(&packages.chain(["--all-features", "--all-targets"]).collect::<Vec<_>>())
    })?;
    with(Tool::Hack, &missing, steps, "each pair of features", features)?;
    steps.run("other platforms", || {
        // A target directory of its own, or each run would build everything again.
        let noop = [("RUSTFLAGS", "--cfg gmr_noop"), ("CARGO_TARGET_DIR", "target/noop")];
        cargo(&["check", "--package", "gmr"], &noop)
    })?;
    steps.run("documentation", || cargo(&["doc", "--no-deps"], &[("RUSTDOCFLAGS", "--deny warnings")]))?;
    steps.run("test programs", || {
        cargo(&["build", "--package", "gmr-tests", "--bins"], &[])?;
        // One whose panics abort.
        cargo(&["build", "--package", "gmr-tests", "--bin", "panicking", "--profile", "aborting"], &[])
    })?;
    steps.run("interleavings", || {
        // A model checker over the code that tracks tasks, also with a target directory of its own.
        let loom = [("RUSTFLAGS", "--cfg gmr_loom"), ("CARGO_TARGET_DIR", "target/loom")];
        cargo(&["test", "--package", "gmr-runtime", "--lib", "task::loom_tests::"], &loom)
    })?;
    steps.run("tests", || {
        let python = tools::python().display().to_string();
        let variables = [("GMR_TEST_PYTHON", python.as_str())];
        let is_there = !missing.contains(&Tool::Python);
        cargo(&["test", "--all-targets"], if is_there { &variables } else { &[] })
    })?;
    steps.run("documentation tests", || cargo(&["test", "--doc"], &[]))?;
    steps.run("packages", || package::check(Uncommitted::Allowed))
}

/// The tools that are missing. In CI none may be: a check that is skipped there is never run.
fn setup(install: bool) -> Result<Vec<Tool>, String> {
    let missing = tools::provide(&Tool::FOR_TESTS, install);
    if missing.is_empty() || !tools::is_ci() {
        return Ok(missing);
    }
    Err(format!("`CI` is set, and tools are missing: {}", tools::list(&missing)))
}

/// Runs a step that needs a tool, or notes that it was skipped.
fn with(
    tool: Tool,
    missing: &[Tool],
    steps: &mut Steps,
    name: &'static str,
    step: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    if missing.contains(&tool) {
        steps.skip(name, format!("{} is missing", tool.name()));
        return Ok(());
    }
    steps.run(name, step)
}

fn clippy(arguments: &[&str]) -> Result<(), String> {
    cargo(&[&["clippy"], arguments, &["--", "--deny", "warnings"]].concat(), &[])
}

/// Features are additive: each alone, each pair, none and all compile without a warning. Larger sets
/// find little that pairs do not, and there are many of them.
fn features() -> Result<(), String> {
    let sets = ["--feature-powerset", "--depth", "2", "--exclude-features", "__bench,__fuzz,schema"];
    let packages = ["--package", "gmr-runtime", "--package", "gmr"];
    let lints = ["--", "--deny", "warnings"];
    cargo(&[&["hack", "clippy"], &packages[..], &sets, &lints].concat(), &[])
}
