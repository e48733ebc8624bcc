//! What threads wait for: a thread in each kind of system call, and what a report says of it.

use serde_json::{Map, Value};

use crate::program::{Program, program};
use crate::report::{Report, list, text};
use crate::tools;

/// The `waiting` of each thread that the program expects, and what it expects.
fn waits<'a>(report: &'a Report, expected: &'a Map<String, Value>) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let waiting = |name: &str| report.thread(name).waiting();
    expected.iter().map(|(name, fields)| (name.as_str(), waiting(name), fields)).collect()
}

#[test]
fn each_wait_says_what_it_waits_for() {
    let mut program = Program::start(program!("waits"));
    let expected: Map<String, Value> = serde_json::from_str(&program.ask("what")).unwrap();
    let (expected, skipped): (Map<String, Value>, Map<String, Value>) =
        expected.into_iter().partition(|(_, fields)| fields["skipped"].is_null());
    for (name, fields) in skipped {
        tools::unusable(&format!("{name}: {}", fields["skipped"]), "use a newer kernel");
    }
    // Some threads cannot be signalled, so not all have a stack.
    let report = program.report_when("all threads are where they wait", |report| {
        let in_their_calls = waits(report, &expected);
        in_their_calls.iter().all(|(_, waiting, expected)| waiting["call"] == expected["call"])
    });
    assert!(expected.len() > 25, "{expected:?}");
    for (name, waiting, expected) in waits(&report, &expected) {
        for (field, value) in expected.as_object().unwrap() {
            match field.as_str() {
                "awaited" => {
                    let descriptors = list(&waiting["descriptors"]);
                    assert!(descriptors.contains(value), "{name}: no {value} in {waiting}");
                    // The other side, if the kernel does not tell which it is.
                    assert!(descriptors.len() <= 2, "{name}: {waiting}");
                }
                "target_start" => {
                    let target = text(&waiting["target"]);
                    assert!(target.starts_with(text(value)), "{name}: no {value} in {waiting}");
                }
                field => assert_eq!(waiting[field], *value, "{name}: {field} in {waiting}"),
            }
        }
    }
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "");
}
