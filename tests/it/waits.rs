//! What threads wait for: a thread in each kind of system call, and what a report says of it.

use std::fs;

use rustix::process::Signal;
use serde_json::{Map, Value};

use crate::program::{Program, program, wait_until};
use crate::report::{Report, list, text};
use crate::tools;

/// The `waiting` of each thread that the program expects, and what it expects.
fn waits<'a>(report: &'a Report, expected: &'a Map<String, Value>) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let waiting = |name: &str| report.thread(name).waiting();
    expected.iter().map(|(name, fields)| (name.as_str(), waiting(name), fields)).collect()
}

/// The states of the threads of a process.
fn states(pid: u32) -> Vec<char> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    stats.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
}

/// Requests reports until each thread is in its call, and checks what that one says about the call.
fn assert_waits(program: &mut Program, expected: &Map<String, Value>) {
    // Some threads cannot be signalled, so not all have a stack.
    let report = program.report_when("all threads are where they wait", |report| {
        let in_their_calls = waits(report, expected);
        in_their_calls.iter().all(|(_, waiting, expected)| waiting["call"] == expected["call"])
    });
    assert!(expected.len() > 25, "{expected:?}");
    for (name, waiting, expected) in waits(&report, expected) {
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
    assert_waits(&mut program, &expected);
    // Calls that were interrupted go on, some of them under another number. A thread that waits for
    // a child of `vfork` is not stopped.
    program.signal(Signal::STOP);
    wait_until("each thread is stopped", || {
        states(program.pid()).iter().all(|state| ['T', 'D'].contains(state))
    });
    program.signal(Signal::CONT);
    assert_waits(&mut program, &expected);
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "");
}
