//! Programs that close descriptors which they did not open, and use the numbers for files of their
//! own.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Program, program, wait_until};
use crate::report::{Report, list, text};

fn start(name: &str, mode: &str) -> Program {
    let mut command = Command::new(name);
    command.arg(mode);
    Program::start_with(command)
}

#[test]
fn a_program_that_closes_all_descriptors_is_not_harmed_and_gets_reports() {
    let mut program = start(program!("closing"), "once");
    let mut number = 0;
    for _ in 0..3 {
        program.report_when("the main thread has a stack", |report| {
            number += 1;
            assert_eq!(report.number(), number);
            assert_eq!(report.titles().last(), Some(&"Notes"));
            !report.thread("closing").stack().is_missing()
        });
        assert_eq!(program.ask("harmed?"), "[]");
    }
    assert!(program.end().0.success());
}

/// The classic daemon. It has no reporter, and must not use its parent's.
#[test]
fn a_forked_child_that_closes_all_descriptors_is_not_harmed() {
    let mut program = start(program!("closing"), "forked");
    let child = Pid::from_raw(program.ask("pid").parse().expect("a process id")).expect("not 0");
    for _ in 0..3 {
        kill_process(child, Signal::USR2).expect("it lives");
        assert_eq!(program.ask("harmed?"), "[]");
    }
    // The parent's is as before.
    assert_eq!(program.report().number(), 1);
    assert!(program.end().0.success());
}

/// Everything that gmr opens for a report is closed while gmr uses it, unless it is in a table of
/// its own. In a debug build, std aborts a process whose descriptor other code has closed.
#[test]
fn descriptors_that_are_closed_during_reports_are_not_gmrs() {
    let mut program = start(program!("closing"), "always");
    for _ in 0..3 {
        let report = program.report_when("all stacks and names", Report::is_complete);
        assert!(!text(&report.package()["rustc"]).is_empty(), "{report}");
        let process = &list(&report.data("Processes", "processes")["processes"])[0];
        assert!(!list(&process["command"]).is_empty(), "{process}");
        assert_eq!(program.ask("still there?"), "still there?");
    }
    assert!(program.end().0.success());
}

#[test]
fn a_file_that_got_the_number_of_standard_error_is_not_written_to() {
    let mut program = start(program!("standard_error"), "own");
    let mut note = None;
    wait_until("the next report says where the last one went", || {
        program.signal(Signal::USR2);
        let report = Report::parse(&program.ask("capture"));
        let notes = list(&report.heading()["notes"]);
        note = notes.first().map(|note| text(note).to_owned());
        note.is_some()
    });
    let note = note.expect("it is there");
    assert!(note.contains("descriptor 2") && note.contains(" bytes"), "{note}");
    assert_eq!(program.ask("what is in the file?"), "");
    assert!(program.end().0.success());
}

#[test]
fn a_log_that_standard_error_was_redirected_to_gets_the_report() {
    let mut program = start(program!("standard_error"), "log");
    program.signal(Signal::USR2);
    let mut log = String::new();
    wait_until("the report is in the log", || {
        log.push_str(&program.ask("what is in the log?"));
        log.ends_with('}') && serde_json::from_str::<serde_json::Value>(&log).is_ok()
    });
    assert_eq!(Report::parse(&log).number(), 1);
    // Whoever reads what it was before sees its end: no thread of gmr's keeps it open.
    assert_eq!(program.next_error_line(), "");
    assert!(program.end().0.success());
}
