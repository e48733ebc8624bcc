//! The example that the README begins with.

use std::process::Command;

use crate::report::Report;

fn run_the_demo() -> (String, bool) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--example", "demo"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let everything = [output.stdout, output.stderr].concat();
    (String::from_utf8(everything).expect("text"), output.status.success())
}

#[test]
fn it_shows_a_whole_report_without_a_secret() {
    let (text, success) = run_the_demo();
    assert!(success, "{text}");
    let start = text.find("====").expect("a report");
    let report = Report::parse(&text[start..]);

    for (name, function) in [
        ("demo", "demo::show_a_report"),
        ("till-keeper", "demo::hold_the_till"),
        ("cashier", "demo::ring_up"),
        ("pricing", "demo::calculate_prices"),
        ("importer", "demo::import_orders"),
        ("packer", "demo::pack_orders"),
        ("courier-1", "demo::wait_for_parcels"),
        ("courier-3", "demo::wait_for_parcels"),
    ] {
        let body = report.thread(name).body;
        let frame = body.lines().find(|line| line.ends_with(&format!(" in {function}")));
        let frame = frame.unwrap_or_else(|| panic!("{name} does not stand in {function}:\n{body}"));
        assert!(frame.contains("examples/demo.rs:"), "{frame}");
    }

    for secret in ["correct-horse", "battery-staple", "pk-0123456789abcdef", "tr0ub4dor-and-3"] {
        assert!(!text.contains(secret), "{secret} has leaked:\n{text}");
    }
    let configuration = report.section("Configuration");
    assert!(configuration.contains("url = postgres://shop:***@db1.internal:5432/orders"), "{configuration}");
    assert!(configuration.contains("password = ***"), "{configuration}");
    assert!(configuration.contains("provider = examplepay"), "{configuration}");

    let stock = report.section("Stock Levels");
    assert!(stock.starts_with("panicked at ") && stock.contains("examples/demo.rs:"), "{stock}");
    assert!(report.section("Orders").contains("standard = 31"), "{report:?}");
    assert!(report.section("Package").contains("product = order service"), "{report:?}");
}
