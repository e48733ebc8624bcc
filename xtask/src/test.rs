//! `cargo xtask test`: all checks that must pass before a change lands, cheapest first, so that
//! most mistakes show within seconds.

use crate::beside::Beside;
use crate::cargo::{cargo, is_ci, with_arguments};
use crate::dependencies;
use crate::features;
use crate::metadata::{self, text};
use crate::msrv;
use crate::package::{self, Uncommitted};
use crate::programs;
use crate::static_command;
use crate::steps::Steps;
use crate::suite::Suite;
use crate::targets::Target;
use crate::tools::{self, Tool};
use crate::units;

/// Runs all steps, after installing the tools that are missing if `install` is set.
pub(crate) fn run(install: bool) -> Result<(), String> {
    with_table(|steps| all(steps, install))
}

/// Runs steps, and prints what each took, also if one fails.
fn with_table(run: impl FnOnce(&mut Steps) -> Result<(), String>) -> Result<(), String> {
    let mut steps = Steps::default();
    let result = run(&mut steps);
    println!("\n{steps}");
    result
}

fn all(steps: &mut Steps, install: bool) -> Result<(), String> {
    let missing = steps.run("setup", || setup(&Tool::FOR_TESTS, install))?;
    // Other targets have compilers and directories of their own, so their task runs beside these
    // steps. It takes what they leave of the processors: the tests, for example, mostly wait.
    let mut targets =
        Beside::task(if install { &["test-targets"] } else { &["test-targets", "--no-setup"] })?;
    steps.run("formatting", || cargo(&["fmt", "--all", "--check"], &[]))?;
    let metadata = steps.run("minimum Rust version", || {
        let metadata = metadata::load()?;
        msrv::check(&metadata).map(|()| metadata)
    })?;
    with(Tool::Deny, &missing, steps, "licences and sources", || {
        // Advisories need a database from the network, and a result can change from one day to the
        // next: `cargo xtask release-check` checks them.
        dependencies::check(&metadata, &["bans", "licenses", "sources"])
    })?;
    // With all features; the next step has fewer. The workspace includes the benchmark,
    // which no other step compiles.
    steps.run("lints", || clippy(&["--workspace", "--all-features", "--all-targets"]))?;
    steps.run("pairs of features", || features::check_pairs(&metadata))?;
    steps.run("other platforms", || {
        // These options are for cargo to choose the same features of dependencies as for the lints.
        let (name, wrapper) = with_arguments(&["--cfg", "gmr_noop"])?;
        cargo(&["check", "--workspace", "--all-features", "--lib", "--examples"], &[(name, &wrapper)])
    })?;
    steps.run("documentation", || {
        let published = metadata::published(&metadata).map(|package| text(package, "name"));
        let published: Vec<_> = published.flat_map(|name| ["--package", name]).collect();
        let arguments = [&["doc", "--no-deps", "--all-features"], &published[..]].concat();
        cargo(&arguments, &[("RUSTDOCFLAGS", "--deny warnings")])
    })?;
    steps.run("interleavings", || {
        // A model checker over the code that tracks tasks and keeps spans. Nothing looks at debug
        // information here, and only this package is compiled once more, without the tests that the
        // other targets leave out: these run only those of the model checker.
        let (name, wrapper) = with_arguments(&["--cfg", "gmr_loom", "--cfg", "gmr_units"])?;
        let package = ["test", "--package", "gmr-runtime", "--lib", "--all-features"];
        let options = ["--config", "profile.dev.package.gmr-runtime.debug=false", "loom_tests::"];
        cargo(&[&package[..], &options].concat(), &[(name, &wrapper)])
    })?;
    // The tests build them, too, and find them built.
    steps.run("programs whose panics abort", || programs::run("aborting"))?;
    // Some of the tests build programs for musl.
    steps.run("compilers for other targets", || {
        targets.wait_until(|| tools::TARGETS.into_iter().all(Target::is_set_up))
    })?;
    let suite = Suite::of(&metadata)?;
    steps.run("programs of the tests", || suite.build())?;
    // They compile, while the tests mostly wait.
    let packages = Beside::task(&["test-packages"])?;
    steps.run("tests", || {
        let python = tools::python().display().to_string();
        let is_there = !missing.contains(&Tool::Python);
        suite.run(is_there.then_some(&python))
    })?;
    steps.run("documentation tests and packages", || packages.wait())?;
    steps.run("other targets", || targets.wait())
}

/// `cargo xtask test-packages`: the examples of the documentation, and the packages as they would be
/// published.
pub(crate) fn run_packages() -> Result<(), String> {
    with_table(|steps| {
        steps.run("documentation tests", || cargo(&["test", "--doc"], &[]))?;
        steps.run("packages", || package::check(Uncommitted::Allowed))
    })
}

/// `cargo xtask test-targets`: what `cargo xtask test` checks on other targets than the host's.
pub(crate) fn run_targets(install: bool) -> Result<(), String> {
    with_table(|steps| targets(steps, install))
}

fn targets(steps: &mut Steps, install: bool) -> Result<(), String> {
    let missing = steps.run("setup", || setup(&tools::TARGETS.map(Tool::Target), install))?;
    // The tests build them, too, and find them built.
    with(Tool::Target(Target::Musl), &missing, steps, "programs for musl", || programs::run("musl"))?;
    with(Tool::Target(Target::Musl), &missing, steps, "command for musl", || static_command::run(false))?;
    for target in tools::TARGETS {
        let name = format!("unit tests for {}", target.triple());
        with(Tool::Target(target), &missing, steps, &name, || units::test(target))?;
    }
    Ok(())
}

/// The tools that are missing. In CI, none may be missing: a check that is skipped there is never
/// run.
fn setup(tools: &[Tool], install: bool) -> Result<Vec<Tool>, String> {
    let missing = tools::provide(tools, install);
    if missing.is_empty() || !is_ci() {
        return Ok(missing);
    }
    Err(format!("`CI` is set, and tools are missing: {}", tools::list(&missing)))
}

/// Runs a step that needs a tool, or notes that it was skipped.
fn with(
    tool: Tool,
    missing: &[Tool],
    steps: &mut Steps,
    name: &str,
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
