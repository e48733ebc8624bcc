//! Reports for panics of the program.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use crate::builds;
use crate::program::{Program, program};
use crate::report::{Report, text};

fn start(path: &str, mode: &str, panics: Option<&str>) -> Program {
    let mut command = Command::new(path);
    command.arg(mode).envs(panics.map(|panics| ("GMR_ON_PANIC", panics)));
    Program::start_with(command)
}

/// A report for a panic of the thread with which its threads begin. The program's hook has not run.
fn expect_panic(report: &Report, name: &str, message: &str) {
    let trigger = &report.heading()["trigger"];
    assert_eq!((&trigger["kind"], &trigger["name"]), (&"automatic".into(), &"on_panic".into()), "{report}");
    let cause = text(&trigger["cause"]);
    let first = &report.threads()[0];
    let expected = format!("thread #{} ({name}) panicked at ", first.tid());
    assert!(cause.starts_with(&expected) && cause.contains(message), "{cause}");
    assert!(!cause.contains("hunter2"), "a secret: {cause}");
    assert_eq!(first.name(), if name == "main" { "on_panic" } else { name });
    assert!(first.stack().mentions("on_panic::fails"), "{report}");
}

/// What the program's hook has printed.
fn messages(errors: &str) -> usize {
    errors.matches(" panicked at ").count()
}

#[test]
fn a_panic_of_main_makes_a_report_before_the_programs_hook_runs() {
    let mut program = start(program!("on_panic"), "", None);
    program.tell("main");
    expect_panic(&program.next_report(), "main", "tests/programs/on_panic.rs");
    let (status, rest) = program.end();
    assert_eq!((status.code(), messages(&rest)), (Some(101), 1), "{rest}");
}

#[test]
fn a_report_in_text_begins_its_threads_with_the_one_that_panics() {
    let mut command = Command::new(program!("on_panic"));
    command.env("GMR_FORMAT", "text").env("GMR_ON_PANIC", "any").env("RUST_BACKTRACE", "0");
    let mut program = Program::start_with(command);
    assert_eq!(program.ask("thread"), "1");
    let (status, report) = program.end();
    assert!(status.success(), "{report}");
    let thread = report.find("(worker)    ").expect("its heading");
    assert!(thread < report.find(", main thread  ").expect("its heading"), "{report}");
}

#[test]
fn without_the_option_a_panic_makes_no_report() {
    let mut program = start(program!("on_panic"), "", Some("0"));
    assert_eq!(program.ask("thread"), "1");
    assert_eq!(program.ask("main"), "");
    let (status, rest) = program.end();
    assert_eq!((status.code(), messages(&rest)), (Some(101), 2), "{rest}");
    assert!(!rest.contains("\n{"), "a report: {rest}");
}

#[test]
fn a_panic_of_another_thread_makes_a_report_if_any_is_to_make_one() {
    let mut program = start(program!("on_panic"), "", Some("any"));
    for seen in ["1", "2"] {
        program.tell("thread");
        expect_panic(&program.next_report_among_lines(), "worker", "the thread fails");
        assert_eq!(program.hear(), seen, "its hook runs once");
    }
    assert!(program.end().0.success());
    let mut program = start(program!("on_panic"), "", None);
    assert_eq!(program.ask("thread"), "1");
    let (status, rest) = program.end();
    assert_eq!((status.success(), messages(&rest)), (true, 1), "{rest}");
    assert!(!rest.starts_with('{'), "a report: {rest}");
}

#[test]
fn a_panic_that_cannot_unwind_makes_a_report_on_any_thread() {
    for (what, message) in [("foreign", "cannot unwind"), ("twice", "")] {
        let mut program = start(program!("on_panic"), "", None);
        program.tell(what);
        let report = program.next_report_among_lines();
        let (status, rest) = program.end();
        assert_eq!(status.signal(), Some(6), "{rest}");
        assert_eq!(report.heading()["trigger"]["name"], "on_panic");
        assert!(text(&report.heading()["trigger"]["cause"]).contains(message), "{report}");
        assert_eq!(report.threads()[0].name(), "worker", "{report}");
    }
}

#[test]
fn where_panics_abort_each_makes_a_report() {
    let Some(path) = builds::single_program_of("aborting", "on_panic") else { return };
    let mut program = start(path.to_str().expect("it is ASCII"), "", None);
    program.tell("thread");
    expect_panic(&program.next_report(), "worker", "the thread fails");
    let (status, rest) = program.end();
    assert_eq!((status.signal(), messages(&rest)), (Some(6), 1), "{rest}");
}

#[test]
fn a_panic_of_a_section_is_shown_there_and_makes_no_report() {
    let mut program = start(program!("on_panic"), "section", Some("any"));
    for number in 1..=2 {
        let report = program.report();
        assert_eq!((report.number(), report.failed()), (number, 1), "{report}");
    }
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

#[test]
fn a_panic_while_a_report_is_made_gets_the_next_one() {
    let mut program = start(program!("on_panic"), "", Some("any"));
    program.tell("during");
    let report = program.next_report_among_lines();
    assert_eq!(program.hear(), "1");
    assert_eq!((report.heading()["trigger"]["name"].as_str(), report.number()), (Some("on_panic"), 2));
    assert!(program.end().0.success());
}

#[test]
fn an_unknown_choice_is_said_and_the_programs_counts() {
    let mut program = start(program!("on_panic"), "", Some("sometimes"));
    let warning = program.next_error_line();
    assert!(warning.starts_with("gmr: warning: GMR_ON_PANIC: unknown value `sometimes`"), "{warning}");
    program.tell("main");
    expect_panic(&program.next_report(), "main", "main fails");
}
