//! The main thread and a section wait for the same lock: the report is made all the same, with both
//! stacks in it.

use serde_json::{Value, json};

use crate::program::{Program, program, wait_until};
use crate::report::Stack;

const STUCK_IN: &str = "deadlock::read_the_ledger";

/// The addresses of a stack, each place once: a place with inlined functions has several frames as
/// soon as it has names.
fn addresses(stack: &Stack<'_>) -> Vec<u64> {
    let mut addresses: Vec<u64> =
        stack.frames.iter().map(|frame| frame.fields()["address"].as_u64().expect("an address")).collect();
    addresses.dedup();
    addresses
}

/// A program whose section has just missed its deadline, and how the report describes that.
///
/// This is found once in a process. If the machine is too busy for the stack to be taken just then, a
/// new process gets another chance.
fn missed_deadline() -> (Program, Value, Vec<u64>) {
    let mut found = None;
    wait_until("a stack of the section that missed its deadline", || {
        let mut program = Program::start(program!("deadlock"));
        let report = program.report();
        let timed_out = report.data("Ledger", "timed_out");
        assert_eq!(timed_out["deadline_ms"], 300, "{timed_out}");
        assert_eq!(report.content("Bystander"), &json!({"kind": "text", "data": "whole"}));
        let overdue = &timed_out["overdue"];
        let stack = report.stack(&overdue["stack"]);
        if stack.is_whole() {
            found = Some((program, overdue["tid"].clone(), addresses(&stack)));
        }
        found.is_some()
    });
    found.expect("it has been found")
}

#[test]
fn a_deadlock_is_shown_from_both_sides() {
    let (mut program, tid, stuck_at) = missed_deadline();

    // In the next report no second copy has been started, and the first is in Threads as well.
    let report = program.report_when("all stacks and names, and no failure but the one", |report| {
        let ledger = report.content("Ledger");
        report.is_complete()
            && report.failed() == 1
            && ledger["kind"] == "still_running"
            && report.stack(&ledger["data"]["stack"]).has_names()
            && report.stack(&ledger["data"]["stack"]).is_whole()
    });
    report.thread("deadlock").stack().expect("deadlock::close_the_books");
    let still_running = report.data("Ledger", "still_running");
    assert_eq!(still_running["tid"], tid, "{still_running}");
    let stack = report.stack(&still_running["stack"]);
    stack.expect(STUCK_IN);
    stack.expect("deadlock::ledger");
    // The names may not have been known in time for the first report, but the places were.
    assert_eq!(addresses(&stack), stuck_at, "{stack}");

    let threads = report.threads();
    let stuck: Vec<_> = threads.iter().filter(|thread| thread.stack().has(STUCK_IN)).collect();
    let [stuck] = stuck[..] else { panic!("{} threads are stuck: {report}", stuck.len()) };
    assert_eq!(stuck.role(), "gmr");
    assert_eq!(tid, stuck.tid());
    assert_eq!(report.content("Bystander"), &json!({"kind": "text", "data": "whole"}));
}
