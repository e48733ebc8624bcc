//! `cargo xtask adoption`: real programs that know nothing of gmr take it by one line of Rust and
//! one of `Cargo.toml`, and are reported on under load. Their source packages come from the
//! registry and are unpacked into `target/`; nothing of them is in this repository.

mod load;
mod programs;
mod throughput;
mod weight;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::cargo::{cargo, command, output, root};
use crate::metadata::{self, text};
use crate::process::on;

/// A program, and the lines in which it takes gmr.
struct Program {
    package: &'static str,
    version: &'static str,
    /// The file with `main`, and the line above which `#[gmr::main]` goes.
    main: (&'static str, &'static str),
    binary: &'static str,
    check: fn(&Path) -> Result<(), String>,
}

const PROGRAMS: [Program; 2] = [
    Program {
        package: "mini-redis",
        version: "0.4.1",
        main: ("src/bin/server.rs", "#[tokio::main]"),
        binary: "mini-redis-server",
        check: programs::mini_redis,
    },
    Program {
        package: "bore-cli",
        version: "0.6.0",
        main: ("src/main.rs", "fn main() -> Result<()> {"),
        binary: "bore",
        check: programs::bore,
    },
];

/// Lines are all that the checks need of debug information, and nothing is built twice.
const SMALL: [(&str, &str); 2] =
    [("CARGO_PROFILE_DEV_DEBUG", "line-tables-only"), ("CARGO_INCREMENTAL", "0")];

/// What the checks of reports need.
const AS_JSON: [&str; 2] = ["--features", "gmr/json"];

/// How a copy of a program is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Not at all.
    Plain,
    /// By the two lines.
    Adopted,
}

/// Adopts the programs whose names contain one of these words, or all: compares its own tests with
/// those of the unchanged one, and checks the reports.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let sources = sources()?;
    let wanted =
        |program: &Program| words.is_empty() || words.iter().any(|word| program.package.contains(word));
    for (program, source) in PROGRAMS.iter().zip(&sources).filter(|(program, _)| wanted(program)) {
        println!("\n=== {} {} ===", program.package, program.version);
        let plain = program.copy(source, Form::Plain)?;
        let adopted = program.copy(source, Form::Adopted)?;
        (program.check)(&program.build(&adopted, &AS_JSON, &SMALL)?)?;
        let (before, after) = (tests(&plain, &[])?, tests(&adopted, &AS_JSON)?);
        if before != after {
            return Err(format!("its tests had {before:?} passed and failed, and have {after:?} with gmr"));
        }
        println!("its own tests: {} passed, {} failed, with and without gmr", after.0, after.1);
    }
    Ok(())
}

/// Compares mini-redis with gmr-tokio and with tokio, in pairs of runs.
pub(crate) fn throughput(pairs: usize) -> Result<(), String> {
    let sources = sources()?;
    let build = |form| PROGRAMS[0].build(&PROGRAMS[0].copy(&sources[0], form)?, &["--release"], &[]);
    throughput::compare(&build(Form::Plain)?, &build(Form::Adopted)?, pairs)
}

/// Prints what gmr adds to the release build of mini-redis.
pub(crate) fn weight() -> Result<(), String> {
    weight::weigh(&PROGRAMS[0], &sources()?[0])
}

fn folder() -> PathBuf {
    root().join("target/adoption")
}

/// The folders where cargo has unpacked the source packages.
fn sources() -> Result<Vec<PathBuf>, String> {
    let folder = folder().join("fetch");
    let source = folder.join("src");
    fs::create_dir_all(&source).map_err(on("create", &source))?;
    fs::write(source.join("lib.rs"), "").map_err(on("write", &source))?;
    let mut manifest =
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
                        [dependencies]\n"
            .to_owned();
    for Program { package, version, .. } in &PROGRAMS {
        manifest.push_str(package);
        manifest.push_str(" = \"=");
        manifest.push_str(version);
        manifest.push_str("\"\n");
    }
    let path = folder.join("Cargo.toml");
    fs::write(&path, manifest).map_err(on("write", &path))?;
    let path = path.display().to_string();
    let metadata = output(&["metadata", "--format-version", "1", "--manifest-path", &path], &[])?;
    let metadata = serde_json::from_slice(&metadata)
        .map_err(|error| format!("cannot read the output of cargo metadata: {error}"))?;
    let source = |program: &Program| {
        let package = metadata::packages(&metadata).find(|package| text(package, "name") == program.package);
        let manifest = package.map(|package| Path::new(text(package, "manifest_path")));
        let folder = manifest.and_then(Path::parent).map(Path::to_owned);
        folder.ok_or_else(|| format!("there is no package {}", program.package))
    };
    PROGRAMS.iter().map(source).collect()
}

impl Program {
    /// A copy of the source package in this form.
    fn copy(&self, source: &Path, form: Form) -> Result<PathBuf, String> {
        let kind = if form == Form::Plain { "plain" } else { "adopted" };
        let folder = folder().join(kind).join(self.package);
        // Files of an earlier version must not be found.
        let _ = fs::remove_dir_all(&folder);
        crate::tokio_suite::copy(source, &folder)?;
        let _ = fs::remove_file(folder.join("Cargo.lock"));
        let read = |path: &Path| fs::read_to_string(path).map_err(on("read", path));
        let write = |path: &Path, text: String| fs::write(path, text).map_err(on("write", path));
        // As its authors wrote it, and not as cargo has normalized it.
        let mut manifest = read(&folder.join("Cargo.toml.orig"))?;
        if form == Form::Adopted {
            // A package that has tokio among its dev-dependencies, too, names it there in the same
            // way.
            let tokio = format!("tokio = {{ package = \"gmr-tokio\", path = '{}', ", path_of("gmr-tokio"));
            manifest = replaced(&manifest, "tokio = { ", &tokio)?;
            let gmr = format!("[dependencies]\ngmr = {{ path = '{}' }}\n", path_of(""));
            manifest = replaced(&manifest, "[dependencies]\n", &gmr)?;
            let (file, line) = self.main;
            let path = folder.join(file);
            write(&path, replaced_once(&read(&path)?, line, &format!("#[gmr::main]\n{line}"))?)?;
        }
        manifest.push_str("\n[workspace]\n");
        write(&folder.join("Cargo.toml"), manifest)?;
        Ok(folder)
    }

    /// Builds the program with these options and variables, and returns its path.
    fn build(&self, folder: &Path, options: &[&str], variables: &[(&str, &str)]) -> Result<PathBuf, String> {
        let (manifest, target) = (manifest(folder), target(folder));
        let arguments =
            ["build", "--bin", self.binary, "--manifest-path", &manifest, "--target-dir", &target];
        cargo(&[&arguments, options].concat(), variables)?;
        let profile = if options.contains(&"--release") { "release" } else { "debug" };
        Ok(Path::new(&target).join(profile).join(self.binary))
    }
}

fn path_of(package: &str) -> String {
    root().join(package).display().to_string()
}

fn manifest(folder: &Path) -> String {
    folder.join("Cargo.toml").display().to_string()
}

/// One for each form: both have packages of the same name.
fn target(folder: &Path) -> String {
    folder.with_file_name("target").display().to_string()
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String, String> {
    if text.contains(from) { Ok(text.replace(from, to)) } else { Err(format!("there is no `{from}`")) }
}

fn replaced_once(text: &str, from: &str, to: &str) -> Result<String, String> {
    match text.matches(from).count() {
        1 => Ok(text.replace(from, to)),
        count => Err(format!("there are {count} of `{from}`")),
    }
}

/// How many of the package's own tests pass and fail.
fn tests(folder: &Path, options: &[&str]) -> Result<(usize, usize), String> {
    let (manifest, target) = (manifest(folder), target(folder));
    let arguments = ["test", "--no-fail-fast", "--manifest-path", &manifest, "--target-dir", &target];
    // Its tests of the same ports can't run at the same time.
    let arguments = [&arguments[..], options, &["--tests", "--", "--test-threads", "1"]].concat();
    // Some of mini-redis's fail on their own.
    let output = command().args(&arguments).envs(SMALL).stderr(Stdio::inherit()).output();
    let printed = output.map_err(|error| format!("cannot start cargo: {error}"))?.stdout;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let count =
        |end: &str| printed.lines().filter(|line| line.starts_with("test ") && line.ends_with(end)).count();
    let (passed, failed) = (count(" ... ok"), count(" ... FAILED"));
    if passed == 0 { Err(format!("no test ran:\n{printed}")) } else { Ok((passed, failed)) }
}
