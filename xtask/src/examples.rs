//! `cargo xtask examples`: the programs of the guides that are packages of their own, because their
//! frameworks take long to compile. `cargo xtask test` does not build them.

use crate::cargo::cargo;

/// Their workspace.
const MANIFEST: &str = "examples/packages/Cargo.toml";

/// Checks their format, and compiles them without a warning, from the versions in their lock file.
pub(crate) fn run() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check", "--manifest-path", MANIFEST], &[])?;
    // What they have in common with this workspace is compiled once.
    let lints = ["clippy", "--manifest-path", MANIFEST, "--target-dir", "target", "--locked"];
    cargo(&[&lints[..], &["--workspace", "--all-targets", "--", "--deny", "warnings"]].concat(), &[])
}
