//! Adopts gmr without an attribute, and prints a report of its own as JSON for each line it is told.

#[gmr::config]
fn database() -> std::collections::BTreeMap<&'static str, &'static str> {
    [("host", "db1"), ("password", "hunter2")].into()
}

fn main() -> Result<(), gmr::Error> {
    let _guard = gmr::Builder::new()
        .product("captured")
        .section("Added", || [1, 2, 3])
        .try_section("Failing", || Err::<u64, _>("not today"))
        .section("Nested", gmr::Report::capture)
        .install()?;
    gmr_tests::converse(|_| match serde_json::to_string(&gmr::Report::capture()) {
        Ok(json) => json,
        Err(error) => error.to_string(),
    });
    Ok(())
}
