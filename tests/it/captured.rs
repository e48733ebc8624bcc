//! A report as a value: captured by the program itself, serialized, and read back by parsers that are not ours.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::program::{Program, program};

fn content<'a>(report: &'a Value, title: &str) -> &'a Value {
    let sections = report["sections"].as_array().expect("a list");
    let section = sections.iter().find(|section| section["title"] == title);
    &section.unwrap_or_else(|| panic!("no {title} in {report}"))["content"]
}

#[test]
fn a_captured_report_serializes_whole() {
    let mut program = Program::start(program!("captured"));
    let pid = program.pid();
    let text = program.ask("report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["heading"]["number"], 1);
    assert_eq!(report["heading"]["trigger"], json!({"kind": "api"}));
    assert_eq!(report["schema_version"], "1.0");
    assert_eq!(content(&report, "Package")["data"]["product"], "captured");
    let threads = content(&report, "Threads")["data"]["threads"].as_array().expect("a list");
    assert_eq!(threads[0]["tid"], pid);
    assert_eq!(threads[0]["role"], "main");
    let frames = threads[0]["stack"]["frames"].as_array().expect("a list");
    let mut frames =
        frames.iter().map(|number| &report["frames"][usize::try_from(number.as_u64().unwrap()).unwrap()]);
    let main = frames.find(|frame| frame["function"] == "captured::main").expect("main is in its own stack");
    assert!(main["file"].as_str().unwrap().ends_with("tests/programs/captured.rs"), "{main}");
    assert!(
        main["line"].is_u64() && main["module_offset"].is_u64() && main["build_id"].is_string(),
        "{main}"
    );
    let database = json!({"kind": "fields", "data": {"host": "db1", "password": "***"}});
    assert_eq!(
        content(&report, "Configuration")["data"],
        json!([{"title": "Database", "content": database}])
    );
    assert_eq!(content(&report, "Added")["data"], json!([1, 2, 3]));
    assert_eq!(content(&report, "Failing"), &json!({"kind": "error", "data": "not today"}));
    let nested = content(&report, "Nested")["data"].as_str().expect("text");
    assert!(nested.contains("a report cannot be made by a section of a report"), "{nested}");
    assert!(!text.contains("hunter2"));
}

/// Python's parser takes what another language's log pipeline would.
#[test]
fn python_reads_it_too() {
    let mut program = Program::start(program!("captured"));
    let text = program.ask("report");
    let script =
        "import json, sys; r = json.load(sys.stdin); print(len(r['sections']), r['summary']['sections'])";
    let python =
        Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut python) = python else { return eprintln!("skipped: python3 is not installed") };
    python.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "8 8");
}
