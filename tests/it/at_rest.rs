//! Stacks of blocked threads are read without their noticing, and belong to one moment.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::program::{LIMIT, Program, program, scaled};
use crate::report::{Report, Thread};

/// The context switches of each thread: how often it has slept, and how often it was interrupted.
pub(crate) fn switches(pid: u32) -> BTreeMap<u64, Vec<String>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
    let tids = tasks.map(|task| task.file_name().to_str().expect("a number").parse().expect("a number"));
    let of_thread = |tid: u64| {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
        let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
        Some((tid, lines.map(str::to_owned).collect()))
    };
    tids.filter_map(of_thread).collect()
}

fn is_programs(thread: &Thread<'_>) -> bool {
    thread.role() == "program"
}

#[test]
#[cfg_attr(
    target_arch = "aarch64",
    ignore = "threads that park are signalled: in glibc's `syscall`, the return address is in a register only"
)]
fn a_report_wakes_no_thread_that_waits() {
    const THREADS: usize = 1_000;
    let mut command = Command::new(program!("crowd"));
    command.args([THREADS.to_string(), "30".to_owned()]);
    let mut program = Program::start_with(command);
    // A report tells when all threads wait. Before, they wait for each other.
    let is_waiting = |thread: &Thread<'_>| {
        let stack = thread.stack();
        stack.taken == Some("at rest") && stack.functions().any(|name| name.ends_with("::park"))
    };
    program.report_when("all threads wait", |report| {
        report.threads().iter().filter(|thread| is_programs(thread)).all(is_waiting)
    });
    let before = switches(program.pid());
    for _ in 0..3 {
        let report = program.report();
        let threads: Vec<Thread<'_>> = report.threads().into_iter().filter(is_programs).collect();
        assert_eq!(threads.len(), THREADS - 1);
        let after = switches(program.pid());
        for thread in &threads {
            let (tid, stack) = (thread.tid(), thread.stack());
            assert_eq!(before[&tid].len(), 2);
            assert_eq!(before[&tid], after[&tid], "thread {tid} has run");
            assert_eq!(stack.taken, Some("at rest"));
            assert!(stack.is_whole() && stack.frames.len() >= 30, "{stack}");
        }
    }
    assert!(program.end().0.success());
}

#[test]
fn no_wait_is_interrupted() {
    let mut program = Program::start(program!("waiting"));
    for _ in 0..scaled(100) {
        let report = program.report();
        let threads = report.threads();
        let waiting: Vec<_> = threads.iter().filter(|thread| is_programs(thread)).collect();
        assert_eq!(waiting.len(), 200);
        for thread in waiting {
            assert_eq!(thread.stack().taken, Some("at rest"), "{}:\n{}", thread.name(), thread.stack());
        }
    }
    assert_eq!(program.ask("returned"), "0");
    assert!(program.end().0.success());
}

#[test]
fn threads_that_cannot_be_signalled_have_stacks() {
    let mut program = Program::start(program!("unreachable"));
    let traced = program.ask("is it traced?");
    let report = program.report_when("all names", Report::has_all_names);
    let mut expected = vec![
        ("blocks all", "unreachable::block_all_signals", "sleeping"),
        ("sigwait", "unreachable::wait_for_signals", "sleeping"),
    ];
    // Elsewhere the kernel does not show where these calls return to.
    if cfg!(target_arch = "x86_64") {
        expected.push(("vfork", "unreachable::wait_for_child", "disk sleep"));
        expected.push(("clone", "unreachable::wait_for_cloned", "disk sleep"));
    }
    let is_stopped = traced == "stopped";
    expected.push((
        "traced",
        "unreachable::wait_traced",
        if is_stopped { "tracing stop" } else { "sleeping" },
    ));
    for (name, function, state) in expected {
        let thread = report.thread(name);
        let stack = thread.stack();
        assert_eq!((thread.state(), stack.taken), (Some(state), Some("at rest")), "{name}:\n{stack}");
        assert!(stack.has(function) && stack.is_whole(), "{name}:\n{stack}");
    }
    assert!(program.end().0.success());
}

/// The functions of the program, of which each thread is in one at a time.
const VISITS: [&str; 8] =
    ["visit_a", "visit_b", "visit_c", "visit_d", "visit_e", "visit_f", "visit_g", "visit_h"];

#[test]
fn no_stack_is_of_two_moments() {
    let mut program = Program::start(program!("moving"));
    let mut at_rest = 0;
    let until = Instant::now() + LIMIT;
    // Most threads are waiting most of the time, but any may be on its way.
    while at_rest < scaled(500) {
        assert!(Instant::now() < until, "only {at_rest} stacks were read at rest");
        let report = program.report_when("all names", Report::has_all_names);
        let before = at_rest;
        for thread in report.threads().iter().filter(|thread| is_programs(thread)) {
            let stack = thread.stack();
            let visited = VISITS.iter().filter(|name| stack.mentions(name)).count();
            assert!(visited <= 1, "{stack}");
            if stack.taken == Some("at rest") {
                assert!(stack.is_whole(), "{stack}");
                at_rest += visited;
            }
        }
        if at_rest == before {
            program.ask("wait longer");
        }
    }
    assert!(program.end().0.success());
}
