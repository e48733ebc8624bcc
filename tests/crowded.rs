//! A report of a program with many more threads that compute than there are processors.
//!
//! A test binary of its own, which cargo runs when no other does: for as long as it runs, others would get no processor.

#[path = "it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;

use crate::program::{Program, program};

#[test]
fn threads_that_stand_in_line_for_a_processor_are_waited_for() {
    let mut program = Program::start(program!("busy"));
    // The symbolizer stands in line too. Where it has not come to an end in one report's time, it goes on for the next.
    let mut complete = false;
    while !complete {
        let report = program.report();
        let section = report.section("Threads");
        complete = !section.contains("note = functions are missing");
        let threads = report.threads();
        let busy: Vec<_> = threads.iter().filter(|thread| thread.name.starts_with("busy-")).collect();
        assert_eq!(busy.len(), 64, "{section}");
        for thread in busy {
            assert!(!thread.body.contains("(no stack:"), "{}", thread.body);
            assert!(!complete || thread.body.contains("busy::"), "{}", thread.body);
        }
    }
}
