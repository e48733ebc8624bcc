//! Panics of sections that would end the process: it survives, and the section is shown as failed.

use std::process::Command;

use crate::program::{Program, program};
use crate::report::{Report, text};

fn start(hook: &[&str]) -> Program {
    let mut command = Command::new(program!("unwinding"));
    command.args(hook);
    Program::start_with(command)
}

/// The message of the panic with which a section has failed.
fn message<'a>(report: &'a Report, title: &str) -> &'a str {
    text(&report.data(title, "panicked")["message"])
}

fn sections_panic_and_the_program_lives(program: &mut Program) {
    for number in 1..=2 {
        let report = program.report();
        assert_eq!(report.number(), number);
        let double = message(&report, "In A Destructor");
        assert!(double.starts_with("in a destructor; then: "), "{double}");
        let across = message(&report, "Across C");
        assert!(across.starts_with("called by C; then: "), "{across}");
        assert_eq!(message(&report, "Plain"), "a plain one");
        assert_eq!(report.data("Last", "text"), "whole");
        assert_eq!(report.failed(), 3);
        assert_eq!(program.ask("still there?"), "still there?");
    }
}

#[test]
fn panics_that_cannot_unwind() {
    let mut program = start(&[]);
    sections_panic_and_the_program_lives(&mut program);
    // The program's own panic goes to its hook.
    assert_eq!(program.ask("panic"), "caught: true");
    let (status, rest) = program.end();
    assert!(status.success() && rest.contains("the program's own"), "{status} {rest}");
}

#[test]
fn under_a_hook_that_exits() {
    let mut program = start(&["exits"]);
    sections_panic_and_the_program_lives(&mut program);
    assert!(program.end().0.success());
}

#[test]
fn under_a_hook_that_aborts() {
    let mut program = start(&["aborts"]);
    sections_panic_and_the_program_lives(&mut program);
    assert!(program.end().0.success());
}

/// The hook is the program's for the program's panics.
#[test]
fn a_hook_that_exits_still_ends_the_program_at_its_own_panic() {
    let mut program = start(&["exits"]);
    assert_eq!(program.report().failed(), 3);
    assert_eq!(program.ask("panic"), "");
    assert_eq!(program.end().0.code(), Some(3));
}
