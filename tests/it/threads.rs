//! Fifty threads in known functions, in mixed states: each is found where it stands, and none notices.

use crate::program::{Program, program};
use crate::report::Report;

fn status(program: &mut Program) -> (u64, u64) {
    let answer = program.ask("status");
    let (counter, failed) = answer.split_once(' ').expect("two numbers");
    (counter.parse().unwrap(), failed.parse().unwrap())
}

/// A report in which every thread has got to where it waits: none is still at the barrier behind which all have started.
fn settled(program: &mut Program) -> Report {
    loop {
        let report = program.report();
        if !report.section("Threads").contains("`STARTED.wait();`") {
            return report;
        }
    }
}

#[test]
fn each_thread_stands_in_its_own_function() {
    let mut program = Program::start(program!("stations"));
    let report = settled(&mut program);
    for number in 0..50 {
        let name = format!("station_{number:02}");
        let thread = report.thread(&name);
        let frame = thread.body.lines().position(|line| line.ends_with(&format!(" in stations::{name}")));
        let frame =
            frame.unwrap_or_else(|| panic!("{name} does not stand in its function:\n{}", thread.body));
        let lines: Vec<&str> = thread.body.lines().collect();
        assert!(lines[frame].contains("tests/programs/stations.rs:"), "{}", lines[frame]);
        assert_eq!(lines[frame + 1], "    `$wait();`", "the source line of\n{}", lines[frame]);
        for other in (0..50).filter(|other| *other != number) {
            let other = format!("station_{other:02}");
            assert!(!thread.body.contains(&other), "{other} in the stack of {name}:\n{}", thread.body);
        }
        assert!(!thread.body.contains("incomplete"), "{}", thread.body);
    }
}

#[test]
fn a_deep_stack_is_whole_and_its_two_ends_are_shown() {
    let mut command = std::process::Command::new(program!("stations"));
    command.env("GMR_BACKTRACE", "full");
    let body = settled(&mut Program::start_with(command)).thread("station_08").body;
    let frames = body.matches("stations::wait_deep::descend").count();
    assert_eq!(frames, 201, "{body}");
    assert!(body.contains("stations::station_08"), "{body}");

    let body = settled(&mut Program::start(program!("stations"))).thread("station_08").body;
    assert!(body.contains(" more frames ...\n") && body.contains("stations::station_08"), "{body}");
    assert!(body.matches("stations::wait_deep::descend").count() < 201, "{body}");
}

#[test]
fn the_main_thread_comes_first_and_those_that_make_the_report_last() {
    let mut command = std::process::Command::new(program!("stations"));
    command.env("GMR_BACKTRACE", "full");
    let mut program = Program::start_with(command);
    let pid = program.pid();
    let threads = program.report().threads();
    assert_eq!(threads[0].tid, pid);
    assert_eq!(threads[0].role, ", main thread");
    assert!(threads[0].body.contains("stations::main"), "{}", threads[0].body);
    assert!(threads[0].body.contains("std::rt::lang_start"), "everything is shown: {}", threads[0].body);
    let last: Vec<_> =
        threads[51..].iter().map(|thread| (thread.name.as_str(), thread.role.as_str())).collect();
    assert_eq!(last, [("gmr", ", makes this report"), ("gmr section", ", makes this report")]);
    assert!(threads[51].body.contains("gmr_runtime::reporter::serve"), "{}", threads[51].body);
}

#[test]
fn what_is_left_out_is_said() {
    let mut program = Program::start(program!("stations"));
    let report = program.report();
    let section = report.section("Threads");
    assert!(
        section
            .starts_with("note = frames of Rust's own runtime are left out; GMR_BACKTRACE=full shows them\n")
    );
    assert!(!section.contains("lang_start") && !section.contains("clone3"), "{section}");
    assert_eq!(report.thread("gmr").body, report.thread("gmr section").body, "one line for both");
}

#[test]
fn the_program_does_not_notice() {
    let mut program = Program::start(program!("stations"));
    let (mut before, failed) = status(&mut program);
    assert_eq!(failed, 0);
    for number in 1..=20 {
        assert_eq!(program.report().number(), number);
        // The threads that compute go on: the counter moves for as long as it is looked at.
        let mut after = status(&mut program);
        while after.0 == before {
            after = status(&mut program);
        }
        assert_eq!(after.1, 0, "a system call of the program failed");
        before = after.0;
    }
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "nothing but reports on standard error");
}
