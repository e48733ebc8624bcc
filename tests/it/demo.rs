//! The example that the README quotes, as people see it: its report as text.

use std::process::Command;

use crate::program::{program, wait_until};
use crate::text::{Text, has_names};

/// What it prints. It makes one report in each run, in which names may be missing if the machine is
/// too busy, and the stack of the thread that runs; and a courier may not have come to rest.
fn output_with_names() -> String {
    let mut text = String::new();
    wait_until("the demo's report has all stacks and names", || {
        let (output, success) = run_the_demo();
        assert!(success, "{output}");
        text = output;
        has_names(&text, "demo")
            && text.contains(" in demo::calculate_prices\n")
            && text.contains("(courier-1 to courier-3)")
    });
    text
}

fn run_the_demo() -> (String, bool) {
    let output = Command::new(program!("demo"))
        .env_remove("GMR_FORMAT")
        .env_remove("GMR_BACKTRACE")
        .output()
        .expect("it starts");
    let everything = [output.stdout, output.stderr].concat();
    (String::from_utf8(everything).expect("text"), output.status.success())
}

#[test]
fn it_shows_a_whole_report_without_a_secret() {
    let text = output_with_names();
    let start = text.find("====").expect("a report");
    let report = Text::parse(&text[start..]);

    for (name, function) in [
        ("demo", "demo::show_a_report"),
        ("till-keeper", "demo::hold_the_till"),
        ("cashier", "demo::ring_up"),
        ("pricing", "demo::calculate_prices"),
        ("importer", "demo::import_orders"),
        ("packer", "demo::pack_orders"),
        ("courier-1 to courier-3", "demo::wait_for_parcels"),
    ] {
        let block = report.block("Threads", &format!("({name})"));
        let frame = block.lines().find(|line| line.ends_with(&format!(" in {function}")));
        let frame = frame.unwrap_or_else(|| panic!("{name} is not in {function}:\n{block}"));
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
    assert!(stock.contains("panicked") && stock.contains("examples/demo.rs:"), "{stock}");
    assert!(report.section("Orders").contains("standard = 31"), "{report:?}");
    assert!(report.section("Package").contains("product = order service"), "{report:?}");
}
