//! Fifty threads in known functions, in mixed states: each is found where it stands, and none notices.

use crate::program::{Program, program};

fn status(program: &mut Program) -> (u64, u64) {
    let answer = program.ask("status");
    let (counter, failed) = answer.split_once(' ').expect("two numbers");
    (counter.parse().unwrap(), failed.parse().unwrap())
}

#[test]
fn each_thread_stands_in_its_own_function() {
    let mut program = Program::start(program!("stations"));
    let report = program.report();
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
fn a_deep_stack_is_whole() {
    let mut program = Program::start(program!("stations"));
    let body = program.report().thread("station_08").body;
    let frames = body.matches("stations::wait_deep::descend").count();
    assert_eq!(frames, 201, "{body}");
    assert!(body.contains("stations::station_08"), "{body}");
}

#[test]
fn the_main_thread_comes_first_and_gmr_s_own_last() {
    let mut program = Program::start(program!("stations"));
    let pid = program.pid();
    let threads = program.report().threads();
    assert_eq!(threads[0].tid, pid);
    assert_eq!(threads[0].role, ", main thread");
    assert!(threads[0].body.contains("stations::main"), "{}", threads[0].body);
    let own = threads.iter().position(|thread| thread.role == ", gmr's own").expect("gmr has threads");
    assert!(threads[own..].iter().all(|thread| thread.role == ", gmr's own"));
    assert_eq!(threads[own].name, "gmr");
    let tids: Vec<u32> = threads[1..own].iter().map(|thread| thread.tid).collect();
    assert_eq!(tids.len(), 50);
    assert!(tids.is_sorted());
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
