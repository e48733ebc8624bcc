//! The tasks of this repository, as `cargo xtask <task>`. This file reads the command line; each
//! task has a module of its own. A step that fails ends the task and names the command that failed.

mod adoption;
mod agreement;
mod beside;
mod cargo;
mod dependencies;
mod emulated;
mod examples;
mod features;
mod fleet;
mod fuzz;
mod metadata;
mod minimal;
mod miri;
mod msrv;
mod package;
mod pods;
mod process;
mod programs;
mod release;
mod scripts;
mod secrets;
mod static_command;
mod steps;
mod suite;
mod targets;
mod test;
mod tokio_api;
mod tokio_suite;
mod tools;
mod units;

use std::env;
use std::process::ExitCode;

use cargo::cargo;
use targets::Target;
use tools::Tool;

const USAGE: &str = "usage: cargo xtask <task>

  setup          Install the tools that the tests use: Chromium, axe-core, gdb, tmux, Go,
                 debuginfod, Python modules, cargo-deny, compilers for musl and aarch64. Tools
                 that are already installed are kept.
      --fuzz     Install cargo-fuzz as well.
      --release  Install cargo-hack and cargo-semver-checks as well.
      --target TRIPLE
                 Set up this target only: x86_64-unknown-linux-musl or
                 aarch64-unknown-linux-gnu. Their compiler, std and linker come from
                 Debian's packages and are kept in the user's cache.
  test           Run all checks that must pass before a change lands: formatting,
                 licences, lints, features, documentation, tests, packages.
                 Begins with `setup`, and ends with a table of what each step took.
      --no-setup Install nothing: list the missing tools and run what works without them.
  test-targets   Build the programs and the command for musl, and run unit tests for musl and, in
                 qemu's user mode, for aarch64. It is a part of `test`.
      --no-setup As above.
  test-packages  Run the examples of the documentation, and build the packages from their
                 archives. It is a part of `test`.
  test-aarch64   Run the unit tests of gmr-runtime and the integration tests on a kernel for
                 aarch64 that qemu emulates, or only those whose paths contain one of the
                 given words. Ends with a list of the tests that are left out, and why.
  fuzz           Run each fuzz target, or the named ones.
      --seconds N
                 The time for each target [30].
  msrv           Check the minimum supported Rust version, with that compiler where
                 rustup has it.
  minimal-versions
                 Compile gmr with the lowest versions of dependencies that its manifests
                 allow.
  miri           Run the tests of unsafe code that need no kernel in Miri (nightly).
  agreement      Compare the stacks of programs that are built in many ways, or of
                 the named builds, with those of gdb.
      --write    Write docs/agreement.md; compares all.
      --write --resume
                 The same, without the builds that an interrupted run has compared.
  faults         Try each error of each system call that a report makes, and compare what
                 reports then lack with the table in docs/no-harm.md.
      --write    Write the table.
  findings       Plant deadlocks and other faults in programs that are built in several ways, and
                 compare what reports find, in them and in healthy ones, with the tables in
                 docs/findings.md.
                 Make a thousand reports of each of many healthy programs: none may have a
                 finding above info.
      --write    Write the tables.
  programs BUILD Build the programs that tests signal in another way, or the named ones; a test
                 starts it.
  static         Build the command `gmr` for musl, as one file that needs no library, and print
                 its path.
      --release  Optimized.
  tokio-api      Compare the interface of gmr-tokio with that of the locked tokio.
      --write    Write the list of its items that tests/facade compiles.
  tokio-suite    Run tokio's own tests, or those in the files whose names contain one of the
                 given words, with gmr-tokio in place of tokio.
      --plain    With tokio itself, to compare.
  adoption       Let real programs (mini-redis, bore), or those whose names contain one of the given
                 words, take gmr and gmr-tokio by one line each, and check their tests and, under
                 load, their reports.
      --throughput PAIRS
                 Compare mini-redis with gmr-tokio and with tokio under redis-benchmark.
      --weight   Print what gmr adds to the release build of mini-redis, by what the code is of,
                 and with other features and profiles.
  secrets        Count how many planted secrets gmr shows, beside oslo.utils and detect-secrets,
                 which the Python of the variable PYTHON has.
      --write    Write the table in docs/secrets.md.
  schema         Write docs/report.schema.json and docs/report.rng from the model.
  fleet          Check and test gmr-fleet, which writes the reports of many processes to tables.
                 Its dependencies take minutes to compile.
      --write    Write what is generated from its tables into docs/fleet.
  pods           Check and test gmr-pods, which asks the pods of a Kubernetes cluster.
  examples       Compile the programs of the guides that `test` does not build: those on
                 axum, actix-web and tonic, and a library with sections.
  bench          Measure the cost of a report and of other tools on this machine.
                 `cargo xtask bench --help` lists the options.
  release-check  Run the checks before a release that need a network or minutes to
                 install: advisories, all sets of features, semantic versioning, link-time
                 optimization, packages of a clean tree.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["setup", ref options @ ..] => setup(options),
        ["test"] => test::run(true),
        ["test", "--no-setup"] => test::run(false),
        ["fuzz", ref options @ ..] => fuzz::run(options),
        ["msrv"] => msrv::run(),
        ["minimal-versions"] => minimal::run(),
        ["miri"] => miri::run(),
        ["test-targets"] => test::run_targets(true),
        ["test-targets", "--no-setup"] => test::run_targets(false),
        ["test-packages"] => test::run_packages(),
        ["test-aarch64", ref filters @ ..] => emulated::run(filters),
        ["agreement", ref options @ ..] => agreement::run(options),
        ["faults"] => faults(false),
        ["faults", "--write"] => faults(true),
        ["findings"] => findings(false),
        ["findings", "--write"] => findings(true),
        ["programs", build, ref programs @ ..] => programs::run_for(build, programs),
        ["static"] => static_command::run(false),
        ["static", "--release"] => static_command::run(true),
        ["tokio-api"] => tokio_api::run(false),
        ["tokio-api", "--write"] => tokio_api::run(true),
        ["tokio-suite", "--plain", ref words @ ..] => tokio_suite::run(true, words),
        ["tokio-suite", ref words @ ..] => tokio_suite::run(false, words),
        ["adoption", "--throughput", pairs] => match pairs.parse() {
            Ok(pairs) => adoption::throughput(pairs),
            Err(_) => Err(format!("`{pairs}` is not a number of pairs")),
        },
        ["adoption", "--weight"] => adoption::weight(),
        ["adoption", ref words @ ..] => adoption::run(words),
        ["secrets"] => secrets::run(false),
        ["secrets", "--write"] => secrets::run(true),
        ["schema"] => schema(),
        ["fleet"] => fleet::run(false),
        ["fleet", "--write"] => fleet::run(true),
        ["pods"] => pods::run(),
        ["examples"] => examples::run(),
        ["bench", ref options @ ..] => bench(options),
        ["release-check"] => release::run(),
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

fn setup(options: &[&str]) -> Result<(), String> {
    let (mut wanted, mut named) = (Vec::new(), false);
    let mut options = options.iter();
    while let Some(&option) = options.next() {
        match option {
            "--fuzz" => wanted.push(Tool::Fuzz),
            "--release" => wanted.extend([Tool::Hack, Tool::SemverChecks]),
            "--target" => {
                let triple = options.next().ok_or("`--target` needs the name of a target")?;
                wanted.push(Tool::Target(Target::parse(triple)?));
                named = true;
            }
            _ => return Err(format!("unknown option `{option}`\n\n{USAGE}")),
        }
    }
    if !named {
        wanted.extend(Tool::FOR_TESTS);
        wanted.extend(tools::TARGETS.map(Tool::Target));
    }
    let missing = tools::provide(&wanted, true);
    if !missing.is_empty() {
        return Err(format!("not installed: {}", tools::list(&missing)));
    }
    for tool in wanted {
        if let Tool::Target(target) = tool {
            println!("\nto build for {} by hand, set", target.triple());
            target.variables().iter().for_each(|(name, value)| println!("  {name}={value}"));
        }
    }
    Ok(())
}

/// The test that fails when the schemas are stale also writes them.
fn schema() -> Result<(), String> {
    cargo(&["test", "--package", "gmr-tests", "--test", "schema"], &[("GMR_TEST_WRITE_SCHEMA", "1")])
}

/// The test that tries all errors compares the table in the documentation, or writes it.
fn faults(write: bool) -> Result<(), String> {
    let test = ["test", "--package", "gmr-tests", "--test", "it", "--"];
    let only = ["--ignored", "--nocapture", "--exact", "faults::all_errors"];
    cargo(&[&test[..], &only].concat(), if write { &[("GMR_TEST_WRITE_FAULTS", "1")] } else { &[] })
}

/// The tests that plant deadlocks and other faults compare the tables in the documentation, or write
/// them; and so does the one with healthy programs.
fn findings(write: bool) -> Result<(), String> {
    let test = ["test", "--package", "gmr-tests", "--test", "it", "--"];
    // One after the other: each counts on the processors.
    let only = ["--ignored", "--nocapture", "--test-threads=1", "--exact"];
    let only = [
        &only[..],
        &["stuck::table", "rules::table", "rules::a_rule_that_panics_is_left_out", "healthy::table"],
    ]
    .concat();
    cargo(&[&test[..], &only].concat(), if write { &[("GMR_TEST_WRITE_FINDINGS", "1")] } else { &[] })
}

/// A package of its own, so that `test` does not build it.
fn bench(options: &[&str]) -> Result<(), String> {
    // Optimized like the programs: it masks texts itself.
    let bench = ["run", "--quiet", "--profile", "bench-program", "--package", "gmr-bench", "--"];
    cargo(&[&bench, options].concat(), &[])
}
