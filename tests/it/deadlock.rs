//! The main thread and a section wait for the same lock: the report is made all the same, with both
//! stacks in it.

use serde_json::{Value, json};

use crate::program::{Program, program, wait_until};
use crate::report::Report;

const STUCK_IN: &str = "deadlock::read_the_ledger";

/// What is known of the section that is stuck, if it has a whole stack with names.
fn overdue<'a>(report: &'a Report, overdue: &'a Value) -> Option<&'a Value> {
    let stack = report.stack(&overdue["stack"]);
    if !stack.is_whole() || !stack.has_names() || !report.is_complete() {
        return None;
    }
    stack.expect(STUCK_IN);
    stack.expect("deadlock::ledger");
    Some(&overdue["tid"])
}

#[test]
fn a_deadlock_is_shown_from_both_sides() {
    // A section is found to have missed its deadline once in a process. If the machine is too busy
    // for its stack to be taken just then, a new process gets another chance.
    let mut found = None;
    wait_until("the stack of the section that missed its deadline", || {
        let mut program = Program::start(program!("deadlock"));
        let report = program.report();
        let timed_out = report.data("Ledger", "timed_out");
        assert_eq!(timed_out["deadline_ms"], 300, "{timed_out}");
        assert_eq!(report.content("Bystander"), &json!({"kind": "text", "data": "whole"}));
        let Some(tid) = overdue(&report, &timed_out["overdue"]) else { return false };
        report.thread("deadlock").stack().expect("deadlock::close_the_books");
        found = Some((program, tid.clone()));
        true
    });
    let (mut program, tid) = found.expect("it has been found");

    // In the next report no second copy has been started, and the first is in Threads as well.
    let report = program.report_when("all stacks, and no failure but the one", |report| {
        report.is_complete() && report.failed() == 1 && report.content("Ledger")["kind"] == "still_running"
    });
    let still_running = report.data("Ledger", "still_running");
    assert_eq!(overdue(&report, still_running), Some(&tid), "{still_running}");
    let threads = report.threads();
    let stuck: Vec<_> = threads.iter().filter(|thread| thread.stack().has(STUCK_IN)).collect();
    let [stuck] = stuck[..] else { panic!("{} threads are stuck: {report}", stuck.len()) };
    assert_eq!(stuck.role(), "gmr");
    assert_eq!(tid, stuck.tid());
    assert_eq!(report.content("Bystander"), &json!({"kind": "text", "data": "whole"}));
}
