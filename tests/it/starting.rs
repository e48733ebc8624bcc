//! Threads and processes that a section starts have the attributes of the program, not gmr's.

use std::process::Command;

use crate::program::{Program, program};

fn they_are_the_programs(arguments: &[&str]) {
    let mut command = Command::new(program!("starting"));
    command.args(arguments);
    let mut program = Program::start_with(command);
    let report = program.report();
    assert_eq!(report.data("Helper", "text"), "started");
    assert_eq!(program.ask("thread"), program.ask("thread of main"));
    assert_eq!(program.ask("child"), program.ask("main"));
    // The child handles SIGTERM, because gmr's mask is not its own.
    assert_eq!(program.ask("end the child"), "Some(15)");
    assert!(program.end().0.success());
}

#[test]
fn what_a_section_starts_is_like_what_main_starts() {
    they_are_the_programs(&[]);
}

/// Main has changed since gmr's threads were started.
#[test]
fn what_a_section_starts_is_like_what_main_starts_now() {
    they_are_the_programs(&["changed"]);
}
