//! A report of a program with many more threads that compute than there are processors.
//!
//! A test binary of its own, which cargo runs when no other does: for as long as it runs, others would
//! get no processor.
//!
//! What it holds: every thread is in every report, a stack that is missing says why, and each thread is
//! seen with its stack sooner or later. What it does not hold: that one report has all stacks. A
//! report waits a second for them at most, and a thread that gets no processor in that time, because
//! of other programs or of a cgroup's limit, can't answer.

#[path = "it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;

use std::collections::BTreeSet;

use crate::program::{Program, program};

const THREADS: usize = 64;

#[test]
fn each_of_many_busy_threads_is_seen_with_its_stack() {
    let mut program = Program::start(program!("busy"));
    let mut unseen: BTreeSet<String> = (0..THREADS).map(|number| format!("busy-{number}")).collect();
    program.report_when("each busy thread has been seen with its stack", |report| {
        // The symbolizer waits for a processor too. What it has not named yet it names for a later
        // report.
        if !report.has_all_names() {
            return false;
        }
        let threads = report.threads();
        let busy: Vec<_> = threads.iter().filter(|thread| thread.name().starts_with("busy-")).collect();
        assert_eq!(busy.len(), THREADS, "{report}");
        for thread in busy {
            let stack = thread.stack();
            // Panics if it is missing without a reason.
            if !stack.is_missing() {
                assert!(stack.mentions("busy::"), "{stack}");
                unseen.remove(thread.name());
            }
        }
        unseen.is_empty()
    });
}
