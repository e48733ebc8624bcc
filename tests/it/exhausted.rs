//! A process that has no free descriptor, or that may start no more threads, gets a complete
//! report, and all its files stay open.

use std::process::Command;

use crate::program::{Program, program};
use crate::report::{BASE_SECTIONS, Report, list, text};

#[test]
fn a_process_that_has_leaked_its_descriptors_gets_a_whole_report() {
    let shell = format!("ulimit -n 64; exec '{}' descriptors", program!("exhausted"));
    let mut command = Command::new("sh");
    command.args(["-c", &shell]);
    let mut program = Program::start_with(command);
    for _ in 0..2 {
        let report = program.report_when("all names and stacks", Report::is_complete);
        check(&report);
        let answer = program.ask("are they open?");
        let (open, all) = answer.split_once(" of ").unwrap();
        assert_eq!(open, all);
        assert!(all.parse::<u32>().unwrap() > 40);
    }
    assert!(program.end().0.success());
}

fn check(report: &Report) {
    assert_eq!((report.sections().len(), report.failed()), (9, 0), "{report}");
    let stack = report.thread("exhausted").stack();
    let main = stack.expect("exhausted::main");
    assert!(main.file().ends_with("tests/programs/exhausted.rs"), "{stack}");
    assert!(!text(&report.package()["rustc"]).is_empty(), "{report}");
    let process = &list(&report.data("Processes", "processes")["processes"])[0];
    assert!(!list(&process["command"]).is_empty(), "{process}");
    assert_eq!(report.data("Notes", "text"), "of the program");
}

fn without_threads(arguments: &[&str], format: &str) -> Program {
    let mut command = Command::new(program!("exhausted"));
    command.args(["threads"]).args(arguments).env("GMR_FORMAT", format);
    Program::start_with(command)
}

#[test]
fn a_process_that_can_start_no_thread_gets_a_whole_report() {
    let mut program = without_threads(&[], "json");
    for _ in 0..2 {
        let report = program.report_when("all names and stacks", Report::is_complete);
        check(&report);
        report.thread("parked").stack().expect("exhausted::park_here");
        check(&Report::parse(&program.ask("capture")));
    }
    assert!(program.end().0.success());
}

/// Nothing can interrupt a function that runs on the reporter's thread.
#[test]
fn without_threads_what_is_known_is_written_before_a_section_that_hangs() {
    let mut program = without_threads(&["stuck"], "text");
    program.signal(rustix::process::Signal::USR2);
    let mut titles = Vec::new();
    while titles.last().is_none_or(|title| title != "Configuration") {
        let line = program.next_error_line();
        let title = line.strip_prefix("==== ").and_then(|line| line.trim_end().strip_suffix(" ===="));
        titles.extend(title.map(|title| title.trim().to_owned()));
    }
    let expected = [&["Findings"], &BASE_SECTIONS[..]].concat();
    assert_eq!(titles[titles.len() - expected.len()..], expected, "{titles:?}");
}
