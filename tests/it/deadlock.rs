//! The main thread and a section wait for the same lock: the report is still made, with both stacks
//! in it.

use serde_json::json;

use crate::program::{Program, program, wait_until};
use crate::report::{Report, Stack};

const STUCK_IN: &str = "deadlock::read_the_ledger";

/// The addresses of a stack, each place once: a place with inlined functions has several frames as
/// soon as it has names.
fn addresses(stack: &Stack<'_>) -> Vec<u64> {
    let mut addresses: Vec<u64> =
        stack.frames.iter().map(|frame| frame.fields()["address"].as_u64().expect("an address")).collect();
    addresses.dedup();
    addresses
}

/// A report of a program whose section missed its deadline in the report before, which showed the
/// same stack of the same thread.
///
/// A deadline is missed only once in a process. If the machine is too busy for the section to have
/// reached the lock by then, or for its stack to be taken, the test retries with a new process.
fn report_after_the_deadline() -> Report {
    let mut found = None;
    wait_until("a stack of the section that missed its deadline", || {
        let mut program = Program::start(program!("deadlock"));
        let report = program.report();
        let timed_out = report.data("Ledger", "timed_out");
        assert_eq!(timed_out["deadline_ms"], 300, "{timed_out}");
        assert_eq!(report.content("Bystander"), &json!({"kind": "text", "data": "whole"}));
        let overdue = &timed_out["overdue"];
        let stuck_at = addresses(&report.stack(&overdue["stack"]));

        let later = program.report_when("all stacks and names, and no failure but the one", is_later);
        let still_running = later.data("Ledger", "still_running");
        assert_eq!(still_running["tid"], overdue["tid"], "no second copy has been started");
        // The names may not have been known in time for the first report, but the places were.
        let is_same = addresses(&later.stack(&still_running["stack"])) == stuck_at;
        is_same.then(|| found = Some(later)).is_some()
    });
    found.expect("it has been found")
}

fn is_later(report: &Report) -> bool {
    let ledger = report.content("Ledger");
    let is_still_running = ledger["kind"] == "still_running";
    is_still_running && report.failed() == 1 && report.is_complete() && {
        let stack = report.stack(&ledger["data"]["stack"]);
        stack.has_names() && stack.is_whole()
    }
}

#[test]
fn a_deadlock_is_shown_from_both_sides() {
    let report = report_after_the_deadline();
    report.thread("deadlock").stack().expect("deadlock::close_the_books");
    let still_running = report.data("Ledger", "still_running");
    let stack = report.stack(&still_running["stack"]);
    stack.expect(STUCK_IN);
    stack.expect("deadlock::ledger");

    // It is in Threads as well, once.
    let threads = report.threads();
    let there: Vec<_> = threads.iter().filter(|thread| thread.stack().has(STUCK_IN)).collect();
    let [thread] = there[..] else { panic!("{} threads are there: {report}", there.len()) };
    assert_eq!(thread.role(), "gmr");
    assert_eq!(still_running["tid"], thread.tid());
    assert_eq!(report.content("Bystander"), &json!({"kind": "text", "data": "whole"}));
}
