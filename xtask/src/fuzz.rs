//! `cargo xtask fuzz`: runs the fuzz targets of `fuzz/`, each from its seeds and from what earlier
//! runs have found. It works on the stable toolchain, since it uses no sanitizer: the parsers that
//! it feeds are safe code.

use std::fs;

use serde_json::Value;

use crate::cargo::{cargo, root};
use crate::metadata::{self, text};
use crate::steps::Steps;
use crate::tools::{self, Tool};

/// How long each target runs by default.
const SECONDS: u32 = 30;
/// One input that takes longer is reported as a finding. The inputs are small.
const TIMEOUT: &str = "-timeout=10";

pub(crate) fn run(options: &[&str]) -> Result<(), String> {
    let all = targets(&metadata::load_package("fuzz/Cargo.toml")?);
    let (targets, seconds) = parse(options, all)?;
    if !tools::provide(&[Tool::Fuzz], true).is_empty() {
        return Err(format!("{} is needed", Tool::Fuzz.name()));
    }
    let mut steps = Steps::default();
    let result = targets.into_iter().try_for_each(|target| steps.run(&*target, || fuzz(&target, seconds)));
    println!("\n{steps}");
    result
}

fn fuzz(target: &str, seconds: u32) -> Result<(), String> {
    // libFuzzer writes what it finds to the first directory, and only reads the second.
    let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
    fs::create_dir_all(root().join(&corpus)).map_err(|error| format!("cannot create {corpus}: {error}"))?;
    let time = format!("-max_total_time={seconds}");
    let run = ["fuzz", "run", "--sanitizer", "none", target, &corpus, &seeds, "--", &time, TIMEOUT];
    cargo(&run, &[("CARGO_TARGET_DIR", "target/fuzz")])
}

/// The names of the binaries in `fuzz/Cargo.toml`.
fn targets(metadata: &Value) -> Vec<String> {
    let targets = metadata::packages(metadata).filter_map(|package| package["targets"].as_array()).flatten();
    let binaries = targets.filter(|target| target["kind"][0] == "bin");
    binaries.map(|target| text(target, "name").to_owned()).collect()
}

/// The targets to run, all unless some are named, and the seconds for each.
fn parse(options: &[&str], all: Vec<String>) -> Result<(Vec<String>, u32), String> {
    let (mut named, mut seconds) = (Vec::new(), SECONDS);
    let mut options = options.iter();
    while let Some(&option) = options.next() {
        if option == "--seconds" {
            let value = options.next().ok_or("`--seconds` needs a number")?;
            seconds = value.parse().map_err(|_| format!("`{value}` is not a number of seconds"))?;
        } else if all.iter().any(|target| target == option) {
            named.push(option.to_owned());
        } else {
            return Err(format!("unknown fuzz target `{option}`; expected one of: {}", all.join(", ")));
        }
    }
    Ok((if named.is_empty() { all } else { named }, seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all() -> Vec<String> {
        ["lines", "mask"].map(str::to_owned).to_vec()
    }

    #[test]
    fn targets_are_the_binaries() {
        let metadata = json!({ "packages": [{ "targets": [
            { "kind": ["lib"], "name": "helpers" }, { "kind": ["bin"], "name": "mask" },
        ] }] });
        assert_eq!(targets(&metadata), ["mask"]);
    }

    #[test]
    fn all_targets_run_unless_some_are_named() {
        assert_eq!(parse(&[], all()), Ok((all(), SECONDS)));
        assert_eq!(parse(&["mask", "--seconds", "5"], all()), Ok((vec!["mask".to_owned()], 5)));
    }

    #[test]
    fn mistakes_are_named() {
        let message = "unknown fuzz target `maks`; expected one of: lines, mask";
        assert_eq!(parse(&["maks"], all()), Err(message.to_owned()));
        assert_eq!(parse(&["--seconds"], all()), Err("`--seconds` needs a number".to_owned()));
        assert_eq!(parse(&["--seconds", "x"], all()), Err("`x` is not a number of seconds".to_owned()));
    }
}
