//! What cargo knows about the packages of this workspace and their dependencies.

use serde_json::Value;

use crate::cargo::output;

/// The output of `cargo metadata`, with all features on.
pub(crate) fn load() -> Result<Value, String> {
    parse(&output(&["metadata", "--format-version", "1", "--all-features"], &[])?)
}

/// That of a package outside the workspace, without its dependencies.
pub(crate) fn load_package(manifest: &str) -> Result<Value, String> {
    parse(&output(&["metadata", "--format-version", "1", "--no-deps", "--manifest-path", manifest], &[])?)
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes)
        .map_err(|error| format!("cannot read the output of cargo metadata: {error}"))
}

/// The packages in a value of `cargo metadata`.
pub(crate) fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

/// The packages of the workspace that are published.
pub(crate) fn published(metadata: &Value) -> impl Iterator<Item = &Value> {
    // `publish = false` is an empty list of registries.
    packages(metadata).filter(|package| package["source"].is_null() && package["publish"].is_null())
}

/// A field that is text, empty if it is not there.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
