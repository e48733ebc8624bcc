//! The main thread and a section wait for the same lock: the report comes all the same, with both stacks in it.

use crate::program::{Program, program};

#[test]
fn a_deadlock_is_shown_from_both_sides() {
    let mut program = Program::start(program!("deadlock"));
    let report = program.report();
    assert!(report.thread("deadlock").body.contains("deadlock::close_the_books"), "{report:?}");
    let ledger = report.section("Ledger");
    assert!(ledger.starts_with("timed out after 300 ms; still running on thread "), "{ledger}");
    assert!(ledger.contains("deadlock::read_the_ledger"), "{ledger}");
    assert!(ledger.contains("deadlock::ledger"), "{ledger}");
    assert_eq!(report.section("Bystander"), "whole");
    let tid = stuck_on(ledger);

    // Asked again: no second copy is started, and the first is in Threads as well.
    let report = program.report();
    let ledger = report.section("Ledger");
    assert!(ledger.starts_with("not started again: "), "{ledger}");
    assert_eq!(stuck_on(ledger), tid);
    let threads = report.threads();
    let stuck: Vec<_> =
        threads.iter().filter(|thread| thread.body.contains("deadlock::read_the_ledger")).collect();
    assert_eq!(stuck.len(), 1, "{stuck:?}");
    assert_eq!((stuck[0].tid, stuck[0].role.as_str()), (tid, ", gmr's own"));
    assert_eq!(report.section("Bystander"), "whole");
    assert!(report.summary.contains("(1 failed)"), "{}", report.summary);
}

fn stuck_on(section: &str) -> u32 {
    let (_, rest) = section.split_once("still running on thread ").expect("it names the thread");
    rest.lines().next().unwrap_or_default().parse().expect("a thread id")
}
