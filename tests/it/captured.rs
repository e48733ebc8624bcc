//! A report as a value: captured by the program itself, serialized, and read by parsers that are
//! not ours.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program::{Program, program, wait_until};
use crate::report::{Report, list, text};
use crate::tools;

#[test]
fn a_captured_report_serializes_whole() {
    let mut program = Program::start(program!("captured"));
    let pid = u64::from(program.pid());
    let mut number = 0;
    let mut captured = None;
    wait_until("a report with all stacks and names", || {
        let report = Report::parse(&program.ask("report"));
        number += 1;
        assert_eq!(report.number(), number);
        report.is_complete().then(|| captured = Some(report)).is_some()
    });
    let report = captured.expect("it has been captured");
    assert_eq!(report.trigger(), &json!({"kind": "api"}));
    let (major, minor) = report.schema_version().split_once('.').expect("a major and a minor number");
    assert!(major == "1" && minor.parse::<u32>().is_ok(), "{major}.{minor}");
    assert_eq!(report.package()["product"], "captured");

    let main = report.threads()[0];
    assert_eq!((main.tid(), main.role()), (pid, "main"));
    let frame = main.stack().expect("captured::main");
    assert!(frame.file().ends_with("tests/programs/captured.rs"), "{}", frame.fields());
    assert!(frame.line().is_some(), "{}", frame.fields());
    let (offset, build_id) = (&frame.fields()["module_offset"], &frame.fields()["build_id"]);
    assert!(offset.is_u64() && build_id.is_string(), "{}", frame.fields());

    let database = json!({"kind": "fields", "data": {"host": "db1", "password": "***"}});
    assert_eq!(report.group("Database"), &database);
    assert_eq!(report.data("Added", "fields"), &json!([1, 2, 3]));
    assert_eq!(report.data("Failing", "error"), "not today");

    // Sections that a builder adds are sorted among the registered ones, by order.
    let titles = |list: &[Value]| list.iter().map(|item| text(&item["title"]).to_owned()).collect::<Vec<_>>();
    assert_eq!(titles(list(report.data("Configuration", "configuration"))), ["First", "Database", "Late"]);
    assert_eq!(report.titles()[8..], ["Early", "Added", "Failing", "Nested"]);
    assert_eq!(report.data("Early", "text"), "7");

    assert!(!report.to_string().contains("hunter2"));

    // A section can't wait for a report that waits for the section: it gets one that only says so.
    let nested = report.data("Nested", "fields");
    let [refusal] = list(&nested["sections"]) else { panic!("one section: {nested}") };
    assert_eq!((&refusal["content"]["kind"], &nested["summary"]["failed"]), (&json!("error"), &json!(1)));
    assert!(!text(&refusal["content"]["data"]).is_empty(), "{nested}");
}

/// Python's parser accepts it, as a log pipeline in another language would.
#[test]
fn python_reads_it_too() {
    let mut program = Program::start(program!("captured"));
    let json = program.ask("report");
    let script =
        "import json, sys; r = json.load(sys.stdin); print(len(r['sections']), r['summary']['sections'])";
    let python = Command::new(tools::python())
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else { return tools::missing("python3") };
    python.stdin.take().expect("it is piped").write_all(json.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "12 12");
}

/// std holds a lock while a panic hook runs, and gmr sets a hook of its own for the report.
#[test]
fn a_panic_hook_can_capture_a_report() {
    let mut program = Program::start(program!("hooked"));
    for number in 1..=2 {
        let report = Report::parse(&program.ask("panic"));
        assert_eq!(report.number(), number);
        assert!(report.threads().iter().any(|thread| thread.name() == "unlucky"), "{report}");
    }
}
