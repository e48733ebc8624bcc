//! Threads with little space for a signal handler, threads with memory that nothing provides, and
//! one of the kernel's.

use std::process::Command;

use crate::program::{Program, program, wait_until};
use crate::report::{Report, list, text};

fn command(mode: &str) -> Command {
    let mut command = Command::new(program!("edge"));
    command.arg(mode);
    command
}

fn start(mode: &str) -> Program {
    Program::start_with(command(mode))
}

/// The report signal meets the thread itself, and then the capture signal does.
#[test]
fn a_thread_at_the_end_of_its_stack_handles_the_signals_on_its_alternate_one() {
    let mut program = start("stack");
    let mut number = 0;
    for _ in 0..3 {
        wait_until("the stack has been taken, and has names", || {
            assert_eq!(program.ask("signal"), "0");
            let report = program.next_report();
            number += 1;
            assert_eq!(report.number(), number);
            report.threads().iter().any(|thread| thread.stack().has("edge::descend"))
        });
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

#[test]
fn stacks_with_large_arrays_are_whole() {
    const CALLS: usize = 9;
    let mut program = start("large");
    let report = program.report_when("both threads are where they stay", |report| {
        let is_there = |name: &str, taken: &str| {
            let threads = report.threads();
            let thread = threads.into_iter().find(|thread| thread.name() == name);
            thread.is_some_and(|thread| {
                let stack = thread.stack();
                stack.taken == Some(taken) && stack.count("edge::call_with_array") == CALLS
            })
        };
        report.has_all_names() && is_there("waits", "at rest") && is_there("runs", "by signal")
    });
    for name in ["waits", "runs"] {
        assert!(report.thread(name).stack().is_whole(), "{name}:\n{}", report.thread(name).stack());
    }
    assert!(program.end().0.success());
}

#[test]
fn a_thread_of_the_kernel_is_shown_as_such_and_its_missing_stack_is_no_finding() {
    let mut program = match Program::try_start(command("ring")) {
        Ok(program) => program,
        Err(said) if said.starts_with("no io_uring") => return eprintln!("skipped: {said}"),
        Err(said) => panic!("{said}"),
    };
    let report = program.report();
    let threads = report.threads();
    let of_kernel: Vec<_> = threads.iter().filter(|thread| thread.role() == "kernel").collect();
    assert_eq!(of_kernel.len(), 1, "{report}");
    let stack = of_kernel[0].stack();
    assert!(stack.frames.is_empty() && stack.incomplete.is_some(), "{stack}");
    let codes: Vec<_> = report.findings().iter().map(|finding| text(&finding["code"])).collect();
    assert!(!codes.contains(&"thread.no-stack"), "{report}");
    assert!(program.end().0.success());
}

/// How many of gmr's threads wait for memory.
fn waiting_for_memory(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "gmr fetch").count()
}

#[test]
fn memory_that_nobody_provides_costs_a_thread_its_stack_and_nothing_else() {
    let mut program = match Program::try_start(command("unserved")) {
        Ok(program) => program,
        // It needs privileges, or `vm.unprivileged_userfaultfd`.
        Err(said) if said.starts_with("no userfaultfd") => return eprintln!("skipped: {said}"),
        Err(said) => panic!("{said}"),
    };
    // On a busy machine, the thread that runs may not answer in time.
    let is_there = |report: &Report| {
        let runs = report.thread("runs").stack();
        report.has_all_names() && report.thread("whole").stack().is_whole() && !runs.is_missing()
    };
    let mut waiting = Vec::new();
    for _ in 0..4 {
        // The thread that runs must not be held up by the report.
        let progress = program.ask("progress");
        let report = program.report_when("the stacks that are there", is_there);
        wait_until("the thread runs on", || program.ask("progress") != progress);
        let reason = |name: &str| {
            let incomplete = report.thread(name).stack().incomplete;
            incomplete.unwrap_or_else(|| panic!("{name} is whole:\n{}", report.thread(name).stack()))
        };
        for name in ["at pointer", "further up", "runs"] {
            assert!(reason(name).contains("userfaultfd"), "{name}:\n{}", report.thread(name).stack());
        }
        let of = |name: &str| report.thread(name).stack();
        assert!(of("at pointer").frames.len() <= 1, "{}", of("at pointer"));
        assert!(of("further up").has("edge::unserved::wait_in_pipe"), "{}", of("further up"));
        assert!(of("runs").has("edge::unserved::run_on"), "{}", of("runs"));
        for name in ["further up", "runs"] {
            assert!((3..20).contains(&of(name).count("edge::unserved::descend")), "{}", of(name));
        }
        assert!(of("whole").count("edge::unserved::descend") > 20, "{}", of("whole"));
        // Its stack is in memory, but the list of what it waits for is not.
        let polls = report.thread("polls");
        assert!(polls.stack().is_whole() && polls.waiting()["call"] == "poll", "{report}");
        assert!(list(&polls.waiting()["descriptors"]).is_empty(), "{}", polls.waiting());
        waiting.push(waiting_for_memory(program.pid()));
    }
    // Each page is waited for once, not once for each report.
    assert_eq!(waiting, [4; 4]);
    assert_eq!(program.ask("serve"), "served");
    let report = program.report_when("all stacks", |report| {
        let names = ["at pointer", "further up", "runs", "polls", "whole"];
        let is_whole = |name: &str| report.thread(name).stack().count("edge::unserved::descend") > 20;
        report.has_all_names() && names.into_iter().all(is_whole)
    });
    assert_eq!(list(&report.thread("polls").waiting()["descriptors"]).len(), 1, "{report}");
    wait_until("no thread waits for memory", || waiting_for_memory(program.pid()) == 0);
    assert!(program.end().0.success());
}
