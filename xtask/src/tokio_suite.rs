//! `cargo xtask tokio-suite`: runs the tests that come with tokio's package, with gmr-tokio in
//! place of tokio. cargo has the package, as it builds tokio from it; the tests are copied into
//! `target/`.
//!
//! They are integration tests, so that they use the public interface alone. Those that need
//! `--cfg tokio_unstable` compile to nothing.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::cargo::{command, root};
use crate::metadata::{self, text};
use crate::process::on;

/// What the tests need for other platforms and for the cfgs that are not set, and tokio's own
/// macros.
const NOT_NEEDED: [&str; 7] =
    ["loom", "mio-aio", "mockall", "tokio-macros", "tracing-mock", "wasm-bindgen-test", "windows-sys"];

/// The tests that may fail, as they do with tokio itself, and why.
const FAIL: [(&str, &str); 1] =
    [("fs_try_exists::try_exists", "root, as which these tests may run, can look into every folder")];

/// Runs the tests whose file contains one of these words, or all; with tokio itself if `plain` is
/// set, to see which fail on this machine anyway.
pub(crate) fn run(plain: bool, words: &[&str]) -> Result<(), String> {
    let metadata = metadata::load()?;
    let tokio = metadata::packages(&metadata).find(|package| text(package, "name") == "tokio");
    let tokio = tokio.ok_or("there is no package tokio")?;
    let package = Path::new(text(tokio, "manifest_path")).parent().ok_or("it has no folder")?;
    let folder = root().join("target/tokio-suite");
    let tests = folder.join("tests");
    // Those of an earlier tokio must not be found.
    let _ = fs::remove_dir_all(&tests);
    copy(&package.join("tests"), &tests)?;
    let source = folder.join("src");
    fs::create_dir_all(&source).map_err(on("create", &source))?;
    fs::write(source.join("lib.rs"), "").map_err(on("write", &source))?;
    let manifest = folder.join("Cargo.toml");
    fs::write(&manifest, self::manifest(tokio, plain)).map_err(on("write", &manifest))?;
    let locked = folder.join("Cargo.lock");
    if !locked.exists() {
        fs::copy(root().join("Cargo.lock"), &locked).map_err(on("write", &locked))?;
    }
    let output = test(&folder, &manifest, &tests, words)?;
    let results = Results::read(&output);
    println!("\n{results}");
    let unexpected: Vec<_> =
        results.failed.iter().filter(|name| !FAIL.iter().any(|(expected, _)| expected == name)).collect();
    if unexpected.is_empty() && results.passed > 0 {
        return Ok(());
    }
    Err(format!("failed: {unexpected:?}; see {}", folder.join("log").display()))
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(on("create", to))?;
    for entry in fs::read_dir(from).map_err(on("read", from))? {
        let entry = entry.map_err(on("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(on("copy", &source))?;
        }
    }
    Ok(())
}

/// A package whose tests have the dependencies of tokio's, but for `tokio`. Some of them use the
/// crates that tokio itself depends on.
fn manifest(tokio: &Value, plain: bool) -> String {
    let of_tokio = if plain {
        format!("version = \"={}\"", text(tokio, "version"))
    } else {
        format!("package = \"gmr-tokio\", path = '{}'", root().join("gmr-tokio").display())
    };
    let mut manifest = format!(
        // A test reads the manifest, and looks for the address.
        "[package]\nname = \"tokio-suite\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         homepage = \"https://tokio.rs\"\n\n[workspace]\n\n\
         [features]\ndefault = [\"full\", \"test-util\"]\nfull = []\ntest-util = []\n\n\
         [profile.dev]\ndebug = 0\n\n\
         [dependencies]\ntokio = {{ {of_tokio}, features = [\"full\", \"test-util\"] }}\n"
    );
    for dependency in tokio["dependencies"].as_array().into_iter().flatten() {
        let name = text(dependency, "name");
        let is_for_all = dependency["kind"].is_null() && dependency["target"].is_null();
        if !is_for_all && dependency["kind"] != "dev" || NOT_NEEDED.contains(&name) {
            continue;
        }
        let table = match dependency["target"].as_str() {
            Some(target) => format!("target.'{target}'.dev-dependencies"),
            None => "dev-dependencies".to_owned(),
        };
        let _ = write!(
            manifest,
            "\n[{table}.{name}]\nversion = \"{}\"\ndefault-features = {}\nfeatures = {}\n",
            text(dependency, "req"),
            dependency["uses_default_features"],
            dependency["features"]
        );
    }
    manifest
}

/// Runs the tests, and returns what they print.
fn test(folder: &Path, manifest: &Path, tests: &Path, words: &[&str]) -> Result<String, String> {
    let path = folder.join("log");
    let log = File::create(&path).map_err(on("create", &path))?;
    let errors = log.try_clone().map_err(on("open", &path))?;
    let mut cargo = command();
    cargo.args(["test", "--no-fail-fast", "--manifest-path"]).arg(manifest);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(tests).map_err(on("read", tests))? {
        let file = entry.map_err(on("read", tests))?.file_name();
        names.extend(file.to_string_lossy().strip_suffix(".rs").map(str::to_owned));
    }
    names.sort_unstable();
    for name in names.iter().filter(|name| words.is_empty() || words.iter().any(|word| name.contains(word))) {
        cargo.args(["--test", name]);
    }
    println!("\n$ cargo test --manifest-path {} > {}", manifest.display(), path.display());
    let status = cargo.stdout(Stdio::from(log)).stderr(Stdio::from(errors)).status();
    status.map_err(|error| format!("cannot start cargo: {error}"))?;
    fs::read_to_string(&path).map_err(on("read", &path))
}

/// What the tests have come to.
#[derive(Debug, Default, PartialEq)]
struct Results {
    files: usize,
    passed: usize,
    ignored: usize,
    failed: Vec<String>,
}

impl Results {
    fn read(output: &str) -> Self {
        let mut results = Self::default();
        let mut file = "";
        for line in output.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("Running tests/") {
                file = name.split_once(".rs").map_or(name, |(name, _)| name);
                results.files += 1;
            } else if let Some((name, outcome)) =
                line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... "))
            {
                match outcome {
                    "ok" => results.passed += 1,
                    "FAILED" => {
                        results.failed.push(format!("{file}::{}", name.replace(" - should panic", "")));
                    }
                    _ => results.ignored += 1,
                }
            } else if line.starts_with("error: could not compile") {
                results.failed.push(line.to_owned());
            }
        }
        results
    }
}

impl std::fmt::Display for Results {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { files, passed, ignored, failed } = self;
        write!(
            formatter,
            "{files} files: {passed} tests passed, {ignored} ignored, {} failed",
            failed.len()
        )?;
        for name in failed {
            let reason = FAIL.iter().find(|(expected, _)| expected == name).map_or("", |(_, reason)| reason);
            write!(formatter, "\n  {name} {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted() {
        let output = "\
     Running tests/rt_basic.rs (target/debug/deps/rt_basic-1)
running 3 tests
test a ... ok
test b - should panic ... ok
test c ... ignored, for a reason
     Running tests/task_abort.rs (target/debug/deps/task_abort-1)
test d - should panic ... FAILED
error: could not compile `tokio-suite` (test \"x\") due to 1 previous error";
        let results = Results::read(output);
        assert_eq!((results.files, results.passed, results.ignored), (2, 2, 1));
        let expected =
            ["task_abort::d", "error: could not compile `tokio-suite` (test \"x\") due to 1 previous error"];
        assert_eq!(results.failed, expected);
    }
}
