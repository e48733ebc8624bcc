//! Threads on which there is little space for a signal handler.

use std::process::Command;

use crate::program::{Program, program};

fn start(mode: &str) -> Program {
    let mut command = Command::new(program!("edge"));
    command.arg(mode);
    Program::start_with(command)
}

/// The report signal meets the thread itself, and then the capture signal does.
#[test]
fn a_thread_at_the_end_of_its_stack_handles_the_signals_on_its_alternate_one() {
    let mut program = start("stack");
    for number in 1..=3 {
        assert_eq!(program.ask("signal"), "0");
        let report = program.next_report();
        assert_eq!(report.number(), number);
        assert!(report.threads().iter().any(|thread| thread.stack().has("edge::descend")), "{report}");
    }
    assert!(program.end().0.success());
}

#[test]
fn nothing_is_written_below_an_alternate_stack_that_is_too_small() {
    let mut program = start("alternate");
    for _ in 0..3 {
        let report = program.report();
        let stack = report.thread("smallest").stack();
        assert!(stack.frames.is_empty() && stack.incomplete.is_some(), "{stack}");
        assert_eq!(program.ask("changed bytes"), "0");
    }
    assert!(program.end().0.success());
}
