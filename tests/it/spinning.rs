//! A thread that uses a whole core is told from one that does not.

use std::process::Command;

use serde_json::Value;

use crate::program::{Program, program, scaled};
use crate::report::{Report, list, text};

fn start(mode: &str, second_look: &str) -> Program {
    let mut command = Command::new(program!("spinning"));
    command.arg(mode).env("GMR_SECOND_LOOK", second_look);
    Program::start_with(command)
}

/// The finding of this kind that is about the program's worker.
fn about_worker<'a>(report: &'a Report, code: &str) -> Option<&'a Value> {
    let tid = report.thread("worker").tid();
    let is_about =
        |finding: &&Value| finding["code"] == code && list(&finding["threads"]).contains(&tid.into());
    report.findings().iter().find(is_about)
}

#[test]
fn a_thread_that_uses_a_whole_core_is_found_with_its_place() {
    for (mode, function) in [("compute", "spinning::compute"), ("poll", "spinning::ask_again")] {
        // Shorter than the time for which the kernel lets a thread run while others wait, so that
        // other work on the machine does not matter.
        let mut program = start(mode, "2ms");
        let report = program.report_when("a thread that uses a whole core", |report| {
            report.is_complete() && about_worker(report, "thread.spinning").is_some()
        });
        let finding = about_worker(&report, "thread.spinning").expect("it is found");
        assert_eq!(
            (text(&finding["severity"]), text(&finding["certainty"])),
            ("info", "certain"),
            "{report}"
        );
        assert!(about_worker(&report, "thread.running").is_none(), "{report}");
        let evidence = &list(&finding["evidence"])[0];
        assert_eq!(evidence["thread"], report.thread("worker").tid());
        let place = text(&report.frame_at(&evidence["frame"])["function"]);
        // It may be in a function that these call.
        let stack = report.thread("worker").stack();
        let called: Vec<_> = stack.functions().take_while(|name| *name != function).collect();
        assert!(stack.has(function), "{stack}");
        assert!(place == function || called.contains(&place), "{place} in {stack}");
    }
}

#[test]
fn a_thread_that_sleeps_half_of_the_time_does_not_use_a_whole_core() {
    let mut program = start("half", "50ms");
    let was_running = |report: &Report| about_worker(report, "thread.running").is_some();
    for _ in 0..scaled(20) {
        let report = program.report_when("a running thread", |report| {
            assert!(about_worker(report, "thread.spinning").is_none(), "{report}");
            was_running(report)
        });
        let running = about_worker(&report, "thread.running");
        assert!(running.is_some_and(|finding| finding["severity"] == "info"), "{report}");
    }
}
