//! What a program says about its progress: scopes with a deadline, heartbeats, and that it is
//! ready.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::program::{Program, program};
use crate::report::{Report, text};

fn start(slow_start: Option<&str>) -> Program {
    start_with("GMR_SLOW_START", slow_start)
}

fn start_with(name: &str, limit: Option<&str>) -> Program {
    let mut command = Command::new(program!("scopes"));
    command.envs(limit.map(|limit| (name, limit)));
    Program::start_with(command)
}

fn cause<'a>(report: &'a Report, option: &str) -> &'a str {
    let trigger = &report.heading()["trigger"];
    assert_eq!((&trigger["kind"], &trigger["name"]), (&"automatic".into(), &option.into()), "{report}");
    text(&trigger["cause"])
}

fn expect_silence(program: Program) {
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

#[test]
fn a_scope_that_is_not_left_in_time_makes_a_report_that_begins_with_it() {
    let mut program = start(None);
    program.tell("slow");
    let report = program.next_report();
    let first = report.threads()[0];
    let cause = cause(&report, "deadline");
    let expected =
        format!("checkout takes longer than 50ms: thread #{} (checkout) has begun it", first.tid());
    assert!(cause.starts_with(&expected), "{cause}");
    assert!(first.name() == "checkout" && first.stack().mentions("scopes::hangs"), "{report}");
    assert_eq!(program.hear(), "done");
    // The next one about it is a minute away. Others have main first, as ever.
    assert_eq!(program.report().threads()[0].role(), "main");
    expect_silence(program);
}

#[test]
fn scopes_make_as_many_reports_as_was_chosen_and_the_others_are_counted() {
    let mut program = start_with("GMR_MAX_PER_HOUR", Some("1"));
    program.tell("slow");
    cause(&program.next_report(), "deadline");
    assert_eq!((program.hear(), program.ask("slow")), ("done".to_owned(), "done".to_owned()));
    let suppressed = "1 event of deadline has had no report: it requests at most 1 in an hour";
    program.report_when("the second one is counted", |report| {
        let notes = report.heading()["notes"].as_array().expect("notes");
        notes.iter().any(|note| note == suppressed)
    });
    expect_silence(program);
    // By default, there is a report about each of them.
    let mut program = start(None);
    for _ in 0..2 {
        program.tell("slow");
        cause(&program.next_report(), "deadline");
        assert_eq!(program.hear(), "done");
    }
    expect_silence(program);
}

#[test]
fn scopes_that_are_left_in_time_make_no_report() {
    let mut program = start(None);
    assert_eq!(program.ask("fast"), "done");
    expect_silence(program);
}

#[test]
fn a_loop_that_stops_makes_a_report() {
    let mut program = start(None);
    program.tell("stop");
    let report = program.next_report();
    let first = report.threads()[0];
    let cause = cause(&report, "heartbeat");
    assert!(cause.starts_with("orders has not beaten for ") && cause.ends_with("every 50ms"), "{cause}");
    assert!(cause.contains(&format!("thread #{}", first.tid())), "{cause}");
    assert!(first.name() == "orders" && first.stack().mentions("scopes::hangs"), "{report}");
    assert_eq!((program.hear(), program.ask("end")), ("done".to_owned(), "done".to_owned()));
    expect_silence(program);
}

#[test]
fn a_loop_that_beats_makes_no_report() {
    let mut program = start(None);
    assert_eq!(program.ask("beat"), "done");
    for number in 1..=3 {
        assert_eq!(program.report().number(), number);
    }
    expect_silence(program);
}

#[test]
fn a_program_that_is_not_ready_in_time_makes_one_report() {
    let mut program = start(Some("100ms"));
    let report = program.next_report();
    assert!(cause(&report, "slow_start").starts_with("the program is not ready after 100ms"), "{report}");
    assert_eq!(report.number(), 1);
    assert_eq!(program.ask("ready"), "done");
    expect_silence(program);
}

#[test]
fn a_program_that_is_ready_makes_none() {
    let mut program = start(Some("20s"));
    assert_eq!(program.ask("ready"), "done");
    assert!(program.report().threads().iter().any(|thread| thread.name() == "gmr watch"));
    expect_silence(program);
    // Nothing is watched, and no thread is started for it.
    let mut program = start(Some("off"));
    assert!(program.report().threads().iter().all(|thread| thread.name() != "gmr watch"));
    expect_silence(program);
}

#[test]
fn a_time_that_is_none_is_said() {
    let mut program = start(Some("soon"));
    let warning = program.next_error_line();
    assert!(warning.starts_with("gmr: warning: GMR_SLOW_START: `soon` is neither"), "{warning}");
    assert!(program.end().0.success());
}

#[test]
fn a_process_that_does_not_end_after_sigterm_makes_one_report() {
    let mut program = start_with("GMR_SLOW_SHUTDOWN", Some("100ms"));
    assert_eq!(program.ask("handle SIGTERM"), "done");
    // gmr looks once a second whether it is handled. One of these comes after that.
    let until = std::time::Instant::now() + crate::program::LIMIT;
    let mut has_reported = false;
    while !has_reported {
        assert!(std::time::Instant::now() < until);
        program.signal(Signal::TERM);
        has_reported = program.writes_within(Duration::from_millis(100));
    }
    let report = program.next_report();
    let cause = cause(&report, "slow_shutdown");
    assert!(cause.starts_with("the process has not ended ") && cause.contains("SIGTERM"), "{cause}");
    expect_silence(program);
}

#[test]
fn a_program_can_say_itself_that_it_shuts_down() {
    let mut program = start_with("GMR_SLOW_SHUTDOWN", Some("100ms"));
    program.tell("shut down");
    cause(&program.next_report(), "slow_shutdown");
    assert_eq!(program.hear(), "done");
    expect_silence(program);
}

#[test]
fn a_process_without_a_handler_for_sigterm_ends_at_once() {
    let mut program = start_with("GMR_SLOW_SHUTDOWN", Some("100ms"));
    assert!(program.report().threads().iter().any(|thread| thread.name() == "gmr watch"));
    program.signal(Signal::TERM);
    let (status, rest) = program.end();
    assert_eq!((status.signal(), rest.as_str()), (Some(Signal::TERM.as_raw()), ""));
}

#[test]
fn a_process_that_ends_in_time_makes_no_report() {
    let mut program = start_with("GMR_SLOW_SHUTDOWN", Some("10min"));
    assert_eq!(program.ask("handle SIGTERM"), "done");
    program.signal(Signal::TERM);
    assert_eq!(program.ask("shut down"), "done");
    expect_silence(program);
}
