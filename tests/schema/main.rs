//! The schemas in `docs/` agree with the model: they are generated from it and compared. `cargo
//! xtask schema` writes them again.

mod relaxng;

use std::fs;
use std::path::Path;

use gmr_runtime::Report;

fn json_schema() -> serde_json::Value {
    let schema = schemars::schema_for!(Report);
    serde_json::to_value(schema).expect("it serializes")
}

/// Compares, or writes if `GMR_TEST_WRITE_SCHEMA` is set.
fn is_current(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("GMR_TEST_WRITE_SCHEMA").is_some() {
        return fs::write(&path, expected).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == expected,
        "docs/{name} is stale: check that docs/report-schema.md allows what has changed in the model, and which version it makes, then run `cargo xtask schema`"
    );
}

#[test]
fn the_json_schema_is_the_models() {
    let text = serde_json::to_string_pretty(&json_schema()).expect("it serializes");
    is_current("report.schema.json", &format!("{text}\n"));
}

#[test]
fn the_relax_ng_schema_is_the_models() {
    is_current("report.rng", &relaxng::from_json_schema(&json_schema()));
}
