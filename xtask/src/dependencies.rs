//! What the dependencies of the published packages may be, by `deny.toml`. `cargo deny` looks at one
//! package at a time, and at those that it depends on: in a workspace whose root is a package, at
//! this one alone.

use serde_json::Value;

use crate::cargo::cargo;
use crate::metadata::{self, text};

/// What `deny.toml` has for the others, and a package alone does not need.
const UNUSED: [&str; 3] = ["license-exception-not-encountered", "license-not-encountered", "unmatched-skip"];

/// Makes these checks of each published package.
///
/// # Errors
/// One of them fails.
pub(crate) fn check(metadata: &Value, checks: &[&str]) -> Result<(), String> {
    let allowed: Vec<&str> = UNUSED.iter().flat_map(|lint| ["--allow", lint]).collect();
    for package in metadata::published(metadata) {
        let manifest = ["deny", "--manifest-path", text(package, "manifest_path"), "check"];
        cargo(&[&manifest[..], &allowed, checks].concat(), &[])?;
    }
    Ok(())
}
