//! A report of a program with many more computing threads than there are processors.
//!
//! A test binary of its own, which `cargo xtask test` runs after all others: tests that run at the
//! same time would get no CPU time.
//!
//! It checks that every thread is in every report, that a missing stack has a reason, and that each
//! thread eventually has its stack in a report, also where a cgroup's quota stops the program for most
//! of each second. It does not check that one report has all names: the symbolizer waits for a
//! processor, too.

#[path = "it/cgroup.rs"]
mod cgroup;
#[path = "it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;

use std::collections::BTreeSet;
use std::process::Command;

use crate::cgroup::{Cgroup, LONG_PAUSES};
use crate::program::{Program, program};

const THREADS: usize = 32;

/// How many share half of a processor with those of gmr: a debug build needs seconds of its part for a
/// report, and the deadlines must hold on a slow machine as well.
const THROTTLED: usize = 8;

/// Each report has each stack, although many periods pass until each thread has had its turn.
#[test]
fn each_busy_thread_of_a_throttled_process_has_its_stack() {
    let cgroup = match Cgroup::new(&LONG_PAUSES) {
        Ok(cgroup) => cgroup,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let mut command = cgroup.command(program!("busy"));
    command.arg(THROTTLED.to_string());
    let mut program = Program::start_with(command);
    let report = program.report();
    let threads = report.threads();
    let busy: Vec<_> = threads.iter().filter(|thread| thread.name().starts_with("busy-")).collect();
    assert_eq!(busy.len(), THROTTLED, "{report}");
    let missing = busy.iter().filter(|thread| thread.stack().is_missing()).count();
    assert_eq!(missing, 0, "{report}");
    assert_eq!(report.failed(), 0, "{report}");
}

#[test]
fn each_of_many_busy_threads_is_seen_with_its_stack() {
    let mut command = Command::new(program!("busy"));
    command.arg(THREADS.to_string());
    let mut program = Program::start_with(command);
    let mut unseen: BTreeSet<String> = (0..THREADS).map(|number| format!("busy-{number}")).collect();
    program.report_when("each busy thread has been seen with its stack", |report| {
        // The symbolizer waits for a processor, too. Frames that it has not named yet have names in
        // a later report.
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
