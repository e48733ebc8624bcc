//! What people do with this repository: `cargo xtask test`, `cargo xtask miri`, `cargo xtask bench`.
//!
//! Each task runs cargo, installs what the tests read reports back with, and needs nothing that would have to be installed by hand; what `bench` compares with is compared with where it is installed. A step that fails ends the run and says which command it was.

mod tools;

use std::env;
use std::process::{Command, ExitCode};
use std::time::Instant;

use tools::Tools;

const USAGE: &str = "usage: cargo xtask <task>

  test    everything that has to hold before a change lands: formatting, lints,
          unit, integration, UI and documentation tests, the documentation itself
  miri    the tests of the unsafe code that need no kernel, in the interpreter that
          finds undefined behaviour; Miri comes with nightly toolchains only
  schema  writes docs/report.schema.json and docs/report.rng anew from the model
  bench   what a report costs, beside what other tools cost on this machine;
          `cargo xtask bench --help` lists its options";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((task, [])) if task == "test" => test(),
        Some((task, [])) if task == "miri" => miri(),
        Some((task, [])) if task == "schema" => schema(),
        Some((task, options)) if task == "bench" => bench(options),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// The steps of `test`, cheapest first, so that most mistakes are told within seconds.
fn test() -> Result<(), String> {
    let begun = Instant::now();
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])?;
    // What only the benchmarks compile.
    let measuring = [
        "--package",
        "gmr-bench",
        "--package",
        "gmr-runtime",
        "--package",
        "gmr-tests",
        "--all-features",
        "--all-targets",
    ];
    cargo(&[&["clippy"], &measuring[..], &["--", "--deny", "warnings"]].concat(), &[])?;
    // As most adopters have it: without any feature.
    cargo(
        &["clippy", "--package", "gmr-runtime", "--package", "gmr-macros", "--", "--deny", "warnings"],
        &[],
    )?;
    // A platform on which nothing can be shown has to compile as well. It has a directory of its own, or each run would build everything anew.
    let noop = [("RUSTFLAGS", "--cfg gmr_noop"), ("CARGO_TARGET_DIR", "target/noop")];
    cargo(&["check", "--package", "gmr"], &noop)?;
    cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "--deny warnings")])?;
    // The programs that the tests send signals to, one of them with panics that abort.
    cargo(&["build", "--package", "gmr-tests", "--bins"], &[])?;
    cargo(&["build", "--package", "gmr-tests", "--bin", "panicking", "--profile", "aborting"], &[])?;
    // Interleavings of the code that tracks tasks, by a model checker: also with a directory of its own.
    let loom = [("RUSTFLAGS", "--cfg gmr_loom"), ("CARGO_TARGET_DIR", "target/loom")];
    cargo(&["test", "--package", "gmr-runtime", "--lib", "task::loom_tests::"], &loom)?;
    let tools = Tools::provide();
    let variables = tools.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    cargo(&["test", "--workspace", "--all-targets"], &variables)?;
    cargo(&["test", "--workspace", "--doc"], &[])?;
    println!("\neverything holds ({} s)", begun.elapsed().as_secs());
    Ok(())
}

/// Where the unsafe code stands whose tests Miri can run. What the rest tests is what the kernel does, which Miri has none of.
const FOR_MIRI: [&str; 5] = [
    "task::",
    "capture::linux::arch::",
    "capture::linux::handler::",
    "sys::linux::mapping::",
    "capture::linux::unwind::",
];

/// No part of `test`: the project stands on the stable toolchain alone.
fn miri() -> Result<(), String> {
    cargo(&["miri", "--version"], &[]).map_err(|failure| {
        format!(
            "{failure}\nMiri comes with nightly toolchains only. `rustup toolchain install nightly --component miri,rust-src` installs one, `cargo +nightly xtask miri` uses it."
        )
    })?;
    // Tasks are stamped with the kernel's clock, which Miri shows only to a test that is not isolated.
    let set = env::var("MIRIFLAGS").unwrap_or_default();
    let flags = format!("-Zmiri-disable-isolation {set}");
    let tests = ["miri", "test", "--package", "gmr-runtime", "--lib", "--"];
    cargo(&[&tests[..], &FOR_MIRI].concat(), &[("MIRIFLAGS", &flags)])
}

/// The test that says when they are stale writes them as well.
fn schema() -> Result<(), String> {
    cargo(&["test", "--package", "gmr-tests", "--test", "schema"], &[("GMR_TEST_WRITE_SCHEMA", "1")])
}

/// A package of its own, so that `test` does not build it.
fn bench(options: &[String]) -> Result<(), String> {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    cargo(&[&["run", "--quiet", "--package", "gmr-bench", "--"], &options[..]].concat(), &[])
}

/// Runs cargo in the workspace's root, with what it prints going where ours goes.
fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let shown = format!("cargo {}", arguments.join(" "));
    println!("\n$ {shown}");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let status = Command::new(cargo)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root)
        .status()
        .map_err(|error| format!("`{shown}` could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("\n`{shown}` failed")) }
}
