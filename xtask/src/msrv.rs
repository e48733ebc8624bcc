//! The minimum supported Rust version, `rust-version` in the manifests of the published crates. No
//! dependency may require a later one. Clippy's `incompatible_msrv` checks that our own code uses
//! no later function of std. Later syntax is found by that compiler only.

use std::collections::HashSet;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cargo::root;
use crate::metadata::{self, text};

/// Checks the dependencies, and compiles with that compiler if rustup has it.
pub(crate) fn run() -> Result<(), String> {
    let metadata = metadata::load()?;
    check(&metadata)?;
    let version = ours(&metadata)?;
    println!("\nno dependency asks for more than Rust {version}");
    if !is_installed(version) {
        println!(
            "Rust {version} is not installed: to compile with it as well, run `rustup toolchain install \
             {version} --profile minimal` first"
        );
        return Ok(());
    }
    // A target directory of its own: another compiler's artifacts would replace those of this one.
    let arguments = [
        "check",
        "--package",
        "gmr",
        "--package",
        "gmr-axum",
        "--package",
        "gmr-cli",
        "--all-features",
        "--target-dir",
        "target/msrv",
    ];
    let shown = format!("cargo +{version} {}", arguments.join(" "));
    println!("\n$ {shown}");
    let status = Command::new("rustup")
        .args(["run", version, "cargo"])
        .args(arguments)
        // Set by the cargo that runs this program, and it names another compiler's.
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .current_dir(root())
        .status()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed")) }
}

/// Fails if a dependency of a published crate requires a later Rust than that crate.
pub(crate) fn check(metadata: &Value) -> Result<(), String> {
    let later = later(metadata)?;
    if later.is_empty() {
        return Ok(());
    }
    Err(format!(
        "these dependencies need a later Rust than the {} in `rust-version`: {}",
        ours(metadata)?,
        later.join(", ")
    ))
}

fn ours(metadata: &Value) -> Result<&str, String> {
    let package = metadata::published(metadata).find(|package| text(package, "name") == "gmr");
    package.and_then(|package| package["rust_version"].as_str()).ok_or("gmr has no `rust-version`".to_owned())
}

/// The dependencies, direct or not, that require a later Rust than ours.
fn later(metadata: &Value) -> Result<Vec<String>, String> {
    let ours = parse(ours(metadata)?)?;
    let mut pending: Vec<&str> = metadata::published(metadata).map(|package| text(package, "id")).collect();
    let mut reached = HashSet::new();
    while let Some(id) = pending.pop() {
        if reached.insert(id) {
            pending.extend(dependencies(metadata, id));
        }
    }
    let mut later = Vec::new();
    for package in metadata::packages(metadata).filter(|package| reached.contains(text(package, "id"))) {
        let Some(version) = package["rust_version"].as_str() else { continue };
        if parse(version)? > ours {
            later.push(format!("{} {} ({version})", text(package, "name"), text(package, "version")));
        }
    }
    Ok(later)
}

/// The dependencies of a package's build, without those of its tests.
fn dependencies<'a>(metadata: &'a Value, id: &str) -> impl Iterator<Item = &'a str> {
    let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    let node = nodes.into_iter().find(|node| text(node, "id") == id);
    let all = node.and_then(|node| node["deps"].as_array()).into_iter().flatten();
    all.filter(|dependency| {
        let kinds = dependency["dep_kinds"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
    })
    .map(|dependency| text(dependency, "pkg"))
}

/// `1.88` or `1.88.0`.
fn parse(version: &str) -> Result<[u32; 3], String> {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(version.split('.')) {
        *number = part.parse().map_err(|_| format!("`{version}` is not a version of Rust"))?;
    }
    Ok(numbers)
}

fn is_installed(version: &str) -> bool {
    let output = Command::new("rustup").args(["toolchain", "list"]).stderr(Stdio::null()).output();
    let names = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&names).lines().any(|name| {
        let rest = name.strip_prefix(version);
        rest.is_some_and(|rest| rest.starts_with('-') || rest.starts_with(".0-"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// gmr depends on `old`, which depends on `new`; on `tool` for its tests alone.
    fn metadata(new: &str) -> Value {
        let foreign = |name: &str, version: &str| {
            json!({ "id": name, "name": name, "version": "2.0.0", "rust_version": version, "source": "registry",
                    "publish": null })
        };
        let edge = |name: &str, kind: &Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        json!({
            "packages": [
                { "id": "gmr", "name": "gmr", "version": "0.1.0", "rust_version": "1.88", "source": null,
                  "publish": null },
                { "id": "tests", "name": "tests", "version": "0.1.0", "rust_version": "1.99", "source": null,
                  "publish": [] },
                foreign("old", "1.71"), foreign("new", new), foreign("tool", "1.99"),
            ],
            "resolve": { "nodes": [
                { "id": "gmr", "deps": [edge("old", &Value::Null), edge("tool", &json!("dev"))] },
                { "id": "old", "deps": [edge("new", &json!("build"))] },
                { "id": "new", "deps": [] },
                { "id": "tests", "deps": [edge("tool", &Value::Null)] },
            ] },
        })
    }

    #[test]
    fn a_later_dependency_is_named() {
        let message =
            "these dependencies need a later Rust than the 1.88 in `rust-version`: new 2.0.0 (1.88.1)";
        assert_eq!(check(&metadata("1.88.1")), Err(message.to_owned()));
    }

    #[test]
    fn what_only_tests_need_is_left_out() {
        assert_eq!(check(&metadata("1.88.0")), Ok(()));
    }

    #[test]
    fn a_version_is_numbers() {
        assert_eq!(parse("1.88"), Ok([1, 88, 0]));
        assert!(parse("1.88.0").unwrap() < parse("1.100").unwrap());
        assert_eq!(parse("stable"), Err("`stable` is not a version of Rust".to_owned()));
    }
}
