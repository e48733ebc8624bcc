//! What is started: threads and processes of a section, which have the attributes of the program and
//! not gmr's; and the program itself, which does not wait longer than gmr's threads need.

use std::process::Command;
use std::time::{Duration, Instant};

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

/// For how long `main` waits at most for gmr's threads to start.
const STARTED_WITHIN: Duration = Duration::from_secs(1);

/// On a busy machine, a start can take long for other reasons: one of many is enough.
#[test]
fn main_begins_once_the_threads_of_gmr_have_started() {
    for arguments in [&[][..], &["/trigger"]] {
        let begins_at_once = |_| {
            let mut command = Command::new(program!("starting"));
            if let [path] = arguments {
                command.env("GMR_TRIGGER_FILE", path);
            }
            let begun = Instant::now();
            let program = Program::start_with(command);
            let took = begun.elapsed();
            assert!(program.end().0.success());
            took < STARTED_WITHIN
        };
        assert!((0..20).any(begins_at_once), "{arguments:?}");
    }
}
