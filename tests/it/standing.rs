//! What does not go on is found: threads in waits that are usually short, in uninterruptible sleep,
//! and children that nobody waits for. What goes on is not found.

use std::process::Command;

use serde_json::Value;

use crate::program::{Program, program, scaled};
use crate::report::{Report, list, text};

fn start(mode: &str) -> Program {
    let mut command = Command::new(program!("standing"));
    command.arg(mode);
    Program::start_with(command)
}

fn findings<'a>(report: &'a Report, code: &str) -> Vec<&'a Value> {
    report.findings().iter().filter(|finding| finding["code"] == code).collect()
}

#[test]
fn threads_and_children_that_do_not_go_on_are_found_with_their_times() {
    let mut program = start("standing");
    // The times begin with the first report that sees them.
    let report = program.report_when("threads and children that do not go on", |report| {
        let stuck = findings(report, "thread.stuck");
        let is_known = |name: &str| {
            let tid = report.thread(name).tid();
            stuck.iter().any(|finding| list(&finding["threads"]).contains(&tid.into()))
        };
        let zombies = findings(report, "process.zombies");
        is_known("writer")
            && (is_known("locker") || cfg!(not(target_arch = "x86_64")))
            && zombies.iter().any(|finding| list(&finding["evidence"]).len() == 3)
    });
    let [zombies] = findings(&report, "process.zombies")[..] else { panic!("{report}") };
    assert_eq!((text(&zombies["severity"]), text(&zombies["section"])), ("info", "Processes"));
    let [stuck] = findings(&report, "thread.stuck")[..] else { panic!("{report}") };
    assert_eq!(stuck["severity"], "info");
    for (name, function) in [("writer", "standing::write_all"), ("locker", "standing::take_lock")] {
        let tid = report.thread(name).tid();
        let about_it = list(&stuck["evidence"]).iter().find(|evidence| evidence["thread"] == tid);
        if let Some(evidence) = about_it {
            assert_eq!(report.frame_at(&evidence["frame"])["function"], function, "{stuck}");
        }
        if name == "writer" || cfg!(target_arch = "x86_64") {
            assert!(report.thread(name).field("at_rest_ms").as_u64() >= Some(10_000), "{report}");
        }
    }
}

#[test]
fn what_goes_on_is_not_found() {
    let mut program = start("going");
    for _ in 0..scaled(30) {
        let report = program.report();
        for code in ["thread.stuck", "process.zombies"] {
            assert_eq!(findings(&report, code), Vec::<&Value>::new(), "{report}");
        }
        // A thread that starts a child waits for it uninterruptibly for a moment.
        let asleep = findings(&report, "thread.uninterruptible");
        assert!(asleep.iter().all(|finding| finding["severity"] == "info"), "{report}");
    }
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the kernel does not show where these calls return to")]
fn a_thread_in_uninterruptible_sleep_is_a_warning_once_it_has_been_there_for_long() {
    let mut program = Program::start(program!("unreachable"));
    let severity = |report: &Report| {
        let tid = report.thread("vfork").tid();
        let found = findings(report, "thread.uninterruptible");
        let about_it = found.into_iter().find(|finding| list(&finding["threads"]).contains(&tid.into()));
        about_it.map(|finding| text(&finding["severity"]).to_owned())
    };
    program.report_when("an info", |report| severity(report).as_deref() == Some("info"));
    program.report_when("a warning", |report| severity(report).as_deref() == Some("warning"));
}
