//! `cargo xtask release-check`: the checks before a release, in addition to `cargo xtask test`.
//! These checks fetch a database from the network, or use a tool that takes minutes to install.

use std::process::{Command, Stdio};

use crate::cargo::{cargo, root};
use crate::dependencies;
use crate::features;
use crate::metadata;
use crate::minimal;
use crate::msrv;
use crate::package::{self, Uncommitted};
use crate::steps::Steps;
use crate::tools::{self, Tool};

pub(crate) fn run() -> Result<(), String> {
    let mut steps = Steps::default();
    let result = all(&mut steps);
    println!("\n{steps}");
    result
}

fn all(steps: &mut Steps) -> Result<(), String> {
    let last = last_release();
    let mut wanted = vec![Tool::Deny, Tool::Hack];
    // Without a last release, there is nothing to compare with.
    wanted.extend(last.as_ref().map(|_| Tool::SemverChecks));
    steps.run("setup", || {
        let missing = tools::provide(&wanted, true);
        if missing.is_empty() { Ok(()) } else { Err(format!("not installed: {}", tools::list(&missing))) }
    })?;
    steps.run("minimum Rust version", msrv::run)?;
    steps.run("all sets of features", features::check_all)?;
    steps.run("minimum versions", minimal::run)?;
    match last {
        Some(tag) => steps.run("semantic versioning", || {
            // Macros have no signature to compare. gmr re-exports what the others have.
            let packages = ["gmr", "gmr-axum", "gmr-mask", "gmr-runtime"].map(|name| ["--package", name]);
            cargo(&[&["semver-checks", "--baseline-rev", &tag], packages.as_flattened()].concat(), &[])
        })?,
        None => steps.skip("semantic versioning", "no release to compare with".to_owned()),
    }
    steps.run("link-time optimization", || {
        let test = ["test", "--package", "gmr-tests", "--test", "it", "--", "--ignored"];
        cargo(&[&test[..], &["link_time_optimization"]].concat(), &[])
    })?;
    steps.run("packages", || package::check(Uncommitted::Refused))?;
    steps.run("advisories", || dependencies::check(&metadata::load()?, &["advisories"]))
}

/// The tag of the last release that this commit contains.
fn last_release() -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
        .current_dir(root())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let tag = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !tag.is_empty()).then_some(tag)
}
