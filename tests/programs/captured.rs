//! Installs gmr without an attribute on `main`, and answers each line with a report as JSON.

#[gmr::config]
fn database() -> std::collections::BTreeMap<&'static str, &'static str> {
    [("host", "db1"), ("password", "hunter2")].into()
}

fn main() -> Result<(), gmr::Error> {
    let _guard = gmr::Builder::new()
        .product("captured")
        .section("Added", || [1, 2, 3])
        .section("Early", gmr::Generator::new(|| gmr::display('7')).order(-1))
        .config("Late", gmr::Generator::new(|| 7).order(1))
        .config("First", gmr::Generator::new(|| 1).order(-1))
        .section("Failing", gmr::Generator::fallible(|| Err::<u64, _>("not today")))
        .section("Nested", gmr::Report::capture)
        .install()?;
    gmr_tests::converse(|_| match serde_json::to_string(&gmr::Report::capture()) {
        Ok(json) => json,
        Err(error) => error.to_string(),
    });
    Ok(())
}
