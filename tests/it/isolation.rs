//! Sections that panic or fail do not affect the rest of the report, whether panics unwind or
//! abort.

use serde_json::{Value, json};

use crate::builds::program_of;
use crate::program::{Program, program, wait_until};
use crate::report::{BASE_SECTIONS, Report, text};

/// The message of a panic, if it was in the program's source.
fn panic_message(content: &Value) -> &str {
    assert_eq!(content["kind"], "panicked", "{content}");
    let panicked = &content["data"];
    assert!(text(&panicked["location"]).contains("panicking.rs:"), "{panicked}");
    text(&panicked["message"])
}

/// The program and a report in which the section's panic has a stack with names.
///
/// If the machine is too busy to name it in time, the next report has the names. Where panics
/// abort, the section panics once in a process, so only a new process can try again.
fn start_with_names(path: impl AsRef<std::ffi::OsStr>) -> (Program, Report) {
    let mut found = None;
    wait_until("the stack of the section that panicked has its names", || {
        let mut program = Program::start(&path);
        found = (1..=3)
            .find_map(|number| {
                let report = program.report();
                assert_eq!(report.number(), number);
                let content = report.content("Broken");
                let is_named =
                    content["kind"] == "panicked" && report.stack(&content["data"]["stack"]).has_names();
                is_named.then_some(report)
            })
            .map(|report| (program, report));
        found.is_some()
    });
    found.expect("it has been found")
}

fn failures_stay_in_their_place(path: impl AsRef<std::ffi::OsStr>) {
    let (mut program, first) = start_with_names(path);
    assert_failures(&first);
    for more in 1..=2 {
        assert_eq!(program.ask("still there?"), "still there?");
        let report = program.report();
        assert_eq!(report.number(), first.number() + more);
        assert_failures(&report);
    }
    assert_eq!(program.ask("still there?"), "still there?");
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "no panic message beside the report");
}

fn assert_failures(report: &Report) {
    assert_eq!(report.titles(), [&BASE_SECTIONS[..], &["Broken", "Cache", "Empty", "Last"]].concat());

    let broken = report.content("Broken");
    assert_eq!(panic_message(broken), "no orders left");
    let stack = report.stack(&broken["data"]["stack"]);
    assert!(stack.expect("panicking::broken").file().ends_with("panicking.rs"), "{stack}");
    assert!(!stack.mentions("std::panicking"), "{stack}");

    let message = "the cache does not answer at redis://cache:***@10.0.0.7/0";
    assert_eq!(report.content("Cache"), &json!({"kind": "error", "data": message}));
    assert_eq!(report.content("Empty")["kind"], "nothing");
    let sound = json!({"kind": "fields", "data": {"host": "db1", "mode": "rw"}});
    assert_eq!(report.group("sound"), &sound);
    assert_eq!(panic_message(report.group("Broken Group")), "no configuration");
    assert_eq!(report.content("Last"), &json!({"kind": "text", "data": "whole"}));
}

#[test]
fn where_panics_unwind() {
    failures_stay_in_their_place(program!("panicking"));
}

#[test]
fn where_panics_abort() {
    let path = program_of("aborting", "panicking").expect("it needs no tool");
    failures_stay_in_their_place(path);
}
