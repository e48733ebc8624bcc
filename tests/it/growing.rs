//! What there is more of than in earlier reports is found, and what is not, is not.

use serde_json::Value;

use crate::program::{Program, program, scaled};
use crate::report::{Report, list, text};

fn growth(report: &Report) -> Option<&Value> {
    let mut found = report.findings().iter().filter(|finding| finding["code"] == "process.growth");
    let first = found.next();
    assert!(found.next().is_none() && first.is_none_or(|first| first["severity"] == "info"), "{report}");
    first
}

#[test]
fn more_threads_with_the_same_stack_are_found_with_their_place() {
    let mut program = Program::start(program!("growing"));
    program.ask("threads 3");
    let report = program.report_when("whole stacks", Report::is_complete);
    assert_eq!(growth(&report), None, "{report}");
    program.ask("threads 60");
    let report = program.report_when("whole stacks", Report::is_complete);
    let finding = growth(&report).unwrap_or_else(|| panic!("no growth in {report}"));
    assert_eq!(list(&finding["threads"]).len(), 63);
    let in_serve = |evidence: &&Value| {
        !evidence["frame"].is_null() && report.frame_at(&evidence["frame"])["function"] == "growing::serve"
    };
    let evidence = list(&finding["evidence"]).iter().find(in_serve);
    let thread = &evidence.unwrap_or_else(|| panic!("no place in {finding}"))["thread"];
    assert!(list(&finding["threads"]).contains(thread), "{finding}");
    // They have ended.
    program.ask("fewer");
    assert_eq!(growth(&program.report()), None);
    assert!(program.end().0.success());
}

#[test]
fn more_descriptors_are_found() {
    let mut program = Program::start(program!("growing"));
    assert_eq!(growth(&program.report()), None);
    program.ask("files 200");
    let report = program.report();
    let finding = growth(&report).unwrap_or_else(|| panic!("no growth in {report}"));
    assert_eq!((list(&finding["threads"]).len(), list(&finding["evidence"]).len()), (0, 1), "{finding}");
    assert!(text(&finding["evidence"][0]["message"]).contains("descriptors"), "{finding}");
    program.ask("fewer");
    assert_eq!(growth(&program.report()), None);
}

#[test]
fn a_process_that_has_all_it_needs_does_not_grow() {
    let mut program = Program::start(program!("growing"));
    program.ask("threads 60");
    program.ask("files 200");
    for _ in 0..scaled(20) {
        let report = program.report();
        assert_eq!(growth(&report), None, "{report}");
    }
}
