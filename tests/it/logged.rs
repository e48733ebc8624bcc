//! Reports as events of `tracing`: what the program's subscriber gets, and what is on standard error if
//! it does not take it.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Program, program};
use crate::report::Report;

fn start(subscriber: &[&str], what: &str) -> Program {
    let mut command = Command::new(program!("logged"));
    command.args(subscriber).env("GMR_LOG_TRACING", what);
    Program::start_with(command)
}

fn event(program: &mut Program) -> Value {
    let line = program.hear();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The next report, which is on standard error after a warning with this reason.
fn unlogged(program: &mut Program, reason: &str) -> Report {
    program.signal(Signal::USR2);
    let line = program.next_error_line();
    let warning = format!("gmr: warning: no report is written to the subscriber of `tracing`: {reason}");
    assert!(line.starts_with(&warning), "{line}");
    program.next_report()
}

/// What the event says is what the report says.
fn expect_same(event: &Value, report: &Report) {
    assert_eq!(event["report"], report.number());
    let severities = report.findings().iter().map(|finding| finding["severity"].as_str().unwrap());
    let findings = event["findings"].as_str().unwrap();
    let starts = findings.lines().map(|line| line.split_once(": ").expect("a finding").0);
    assert!(starts.eq(severities.clone()), "{findings}");
    let expected = match severities.clone().next() {
        Some("error") => "ERROR",
        Some("warning") => "WARN",
        _ => "INFO",
    };
    assert_eq!(event["level"], expected, "{findings}");
    assert!(event["message"].as_str().unwrap().starts_with(&format!("report {} (", report.number())));
}

#[test]
fn a_full_event_has_all_of_the_report_and_standard_error_says_so() {
    // The program's own choice.
    let mut program = start(&[], "");
    for number in 1..=2 {
        program.signal(Signal::USR2);
        let event = event(&mut program);
        let report = Report::parse(event["document"].as_str().unwrap());
        assert_eq!(report.number(), number);
        expect_same(&event, &report);
        let message = event["message"].as_str().unwrap();
        assert_eq!(program.next_error_line(), format!("gmr: {message}: an event of `tracing`\n"));
    }
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}

#[test]
fn a_summary_comes_beside_the_report() {
    let mut program = start(&[], "summary");
    let report = program.report();
    let event = event(&mut program);
    expect_same(&event, &report);
    assert!(event.get("document").is_none(), "{event}");
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}

#[test]
fn nothing_is_logged_if_the_operator_says_so() {
    let mut program = start(&[], "off");
    assert_eq!(program.report().number(), 1);
    assert_eq!(program.ask("are you"), "alive", "and no event before");
}

#[test]
fn a_subscriber_that_is_not_there_or_takes_nothing_leaves_the_report_to_standard_error() {
    assert_eq!(unlogged(&mut start(&["none"], "full"), "the program has set no subscriber").number(), 1);
    assert_eq!(unlogged(&mut start(&["deaf"], "full"), "it takes no event").number(), 1);
    // A filter says what is in the log, so it is no fault if a summary is not.
    let mut deaf = start(&["deaf"], "summary");
    assert_eq!(deaf.report().number(), 1);
    assert_eq!(deaf.end().1, "");
}

#[test]
fn a_subscriber_that_panics_or_never_returns_costs_the_event_alone() {
    let mut panics = start(&["panics"], "full");
    for number in 1..=2 {
        assert_eq!(unlogged(&mut panics, "it panicked: no space").number(), number);
    }
    assert!(panics.end().0.success());
    let mut stuck = start(&["stuck"], "full");
    assert_eq!(unlogged(&mut stuck, "no response within").number(), 1);
    assert_eq!(stuck.ask("are you"), "alive");
    // A summary does not hold up the report.
    let mut stuck = start(&["stuck"], "summary");
    assert_eq!(stuck.report().number(), 1);
}
