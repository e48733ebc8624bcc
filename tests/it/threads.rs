//! Fifty threads in known functions, in mixed states: each is found where it is, and none is
//! disturbed.

use std::process::Command;

use crate::builds::program_of;
use crate::program::{Program, program, wait_until};
use crate::report::{Report, Thread};
use crate::text::{Text, has_names};

const STATIONS: usize = 50;

fn station(number: usize) -> String {
    format!("station_{number:02}")
}

fn status(program: &mut Program) -> (u64, u64) {
    let answer = program.ask("status");
    let (counter, failed) = answer.split_once(' ').expect("two numbers");
    (counter.parse().unwrap(), failed.parse().unwrap())
}

/// A report with the whole stack of every station, in which none is still at the barrier that all
/// start from. On a busy machine, it may take a few reports until the computing stations have had a
/// processor, and until the symbolizer knows all names.
fn settled(program: &mut Program) -> Report {
    program.report_when("every station is where it waits, with a whole stack and names", |report| {
        let is_there = |thread: &Thread<'_>| {
            let stack = thread.stack();
            let is_at_the_barrier = stack.frames.iter().any(|frame| frame.source() == "STARTED.wait();");
            let is_on_its_way = stack.has("stations::wait_deep") && !stack.has("stations::wait_parked");
            stack.is_whole() && !is_at_the_barrier && !is_on_its_way
        };
        let is_station = |thread: &Thread<'_>| thread.name().starts_with("station_");
        let settled = |thread: &&Thread<'_>| is_station(thread) && is_there(thread);
        report.has_all_names() && report.threads().iter().filter(settled).count() == STATIONS
    })
}

#[test]
fn each_thread_is_found_in_its_own_function() {
    each_is_in_its_own_function(&settled(&mut Program::start(program!("stations"))));
}

#[test]
fn each_thread_of_a_static_program_with_musl_is_found_too() {
    let Some(path) = program_of("musl", "stations") else { return };
    let report = settled(&mut Program::start(path));
    each_is_in_its_own_function(&report);
    the_deep_one_is_whole(&report);
}

fn each_is_in_its_own_function(report: &Report) {
    for number in 0..STATIONS {
        let name = station(number);
        let stack = report.thread(&name).stack();
        let frame = stack.expect(&format!("stations::{name}"));
        assert!(frame.file().ends_with("tests/programs/stations.rs"), "{stack}");
        assert!(frame.line().is_some_and(|line| line > 0), "{stack}");
        assert_eq!(frame.source(), "$wait();", "{name}");
        for other in (0..STATIONS).filter(|other| *other != number).map(station) {
            assert!(!stack.mentions(&other), "{other} in the stack of {name}:\n{stack}");
        }
        assert_eq!(stack.incomplete, None, "{name}:\n{stack}");
    }
}

const DESCEND: &str = "stations::wait_deep::descend";
/// How often it is in the stack of a station that waits deep in calls.
const DEPTH: usize = 201;

#[test]
fn a_deep_stack_is_whole() {
    the_deep_one_is_whole(&settled(&mut Program::start(program!("stations"))));
}

fn the_deep_one_is_whole(report: &Report) {
    let stack = report.thread("station_08").stack();
    assert_eq!(stack.count(DESCEND), DEPTH, "{stack}");
    assert!(stack.has("stations::station_08"), "{stack}");
}

#[test]
fn a_deep_recursion_is_whole_while_a_thread_waits_for_a_lock() {
    let mut program = Program::start(program!("recursion"));
    let depth: usize = program.ask("depth").parse().expect("a number");
    let report = program.report_when("the lock is waited for", |report| {
        let threads = report.content("Threads");
        assert_eq!(threads["kind"], "threads", "the section is in time: {threads}");
        threads["data"]["locks"].as_array().is_some_and(|locks| locks.len() == 1)
    });
    let stack = report.thread("deep").stack();
    assert!(stack.is_whole() && stack.count("recursion::descend") == depth + 1, "{:?}", stack.incomplete);
}

/// The text of a report in which all threads are where they wait, in this detail.
fn as_text(backtrace: &str) -> Text {
    let mut command = Command::new(program!("stations"));
    command.env("GMR_FORMAT", "text").env("GMR_BACKTRACE", backtrace);
    let mut program = Program::start_with(command);
    let mut text = None;
    wait_until("each station is in its own function", || {
        program.signal(rustix::process::Signal::USR2);
        let report = Text::parse(&Text::read(&mut program));
        let threads = report.section("Threads");
        let all =
            (0..STATIONS).all(|number| threads.contains(&format!(" in stations::{}\n", station(number))));
        let settled = all
            && has_names(threads, "stations")
            && !threads.contains("`STARTED.wait();`")
            && report.block("Threads", "(station_08)").contains(" in stations::wait_parked\n");
        text = Some(report);
        settled
    });
    text.expect("there was a report")
}

#[test]
fn of_a_deep_stack_text_shows_equal_frames_once_or_all_of_them() {
    let in_text = format!(" in {DESCEND}");
    let lines = |block: &str| -> Vec<usize> {
        let calls = block.lines().filter_map(|line| line.split_once(&in_text));
        // `FUNCTION (×1000)`
        let times = |rest: &str| rest.trim().strip_prefix("(×")?.strip_suffix(')')?.parse().ok();
        calls.map(|(_, rest)| times(rest).unwrap_or(1)).collect()
    };
    let full = as_text("full");
    let block = full.block("Threads", "(station_08)");
    assert_eq!(lines(block), vec![1; DEPTH], "{block}");
    assert!(block.contains(" in stations::station_08\n"), "{block}");

    let short = as_text("short");
    let block = short.block("Threads", "(station_08)");
    let shown = lines(block);
    assert!(shown.len() < 5 && shown.iter().sum::<usize>() == DEPTH, "{shown:?} {block}");
    assert!(block.contains(" in stations::station_08\n"), "{block}");
}

#[test]
fn the_main_thread_comes_first_and_those_that_make_the_report_last() {
    let mut program = Program::start(program!("stations"));
    let pid = u64::from(program.pid());
    let report = program.report_when("all stacks and names", Report::is_complete);
    let threads = report.threads();
    let main = threads[0];
    assert_eq!((main.tid(), main.role()), (pid, "main"));
    let stack = main.stack();
    assert!(stack.has("stations::main"), "{stack}");
    assert!(stack.mentions("std::rt::lang_start"), "a document has every frame:\n{stack}");

    let roles: Vec<&str> = threads.iter().map(|thread| thread.role()).collect();
    let (program_s, own) = roles[1..].split_at(STATIONS);
    assert!(program_s.iter().all(|role| *role == "program"), "{roles:?}");
    // A thread that has run an earlier section may not have ended yet.
    let (others, reporters) = own.split_at(own.len() - 2);
    assert!(others.iter().all(|role| *role == "gmr"), "{roles:?}");
    assert_eq!(reporters, ["reporter"; 2], "{roles:?}");
    let [.., reporter, generator] = &threads[..] else { panic!("{roles:?}") };
    assert_eq!((reporter.name(), generator.name()), ("gmr", "gmr section"));
    assert!(reporter.stack().mentions("gmr_runtime::"), "{}", reporter.stack());
}

/// Whether a frame of this function is shown. A file's path may have the same name.
fn shows(section: &str, function: &str) -> bool {
    section.lines().any(|line| line.ends_with(&format!(" in {function}")))
}

/// The C library's first function of a thread.
const OUTERMOST: &str = if cfg!(target_arch = "aarch64") { "thread_start" } else { "clone3" };

#[test]
fn text_leaves_out_the_frames_of_the_runtime_and_says_so() {
    let report = as_text("short");
    let section = report.section("Threads");
    let is_note = |line: &str| line.starts_with("note = ") && line.contains("GMR_BACKTRACE=full");
    assert!(section.lines().take_while(|line| !line.is_empty()).any(is_note), "{section}");
    assert!(!section.contains("std::rt::lang_start") && !shows(section, OUTERMOST), "{section}");
    let own = section.lines().find(|line| line.contains("(gmr)")).expect("the reporter is named");
    assert!(own.contains("(gmr section)"), "one line for both that make the report: {own}");

    let report = as_text("full");
    let section = report.section("Threads");
    assert!(section.contains("std::rt::lang_start") && shows(section, OUTERMOST), "{section}");
    assert!(!section.contains("GMR_BACKTRACE"), "{section}");
}

#[test]
fn the_program_does_not_notice() {
    let mut program = Program::start(program!("stations"));
    let (mut before, failed) = status(&mut program);
    assert_eq!(failed, 0);
    for number in 1..=20 {
        assert_eq!(program.report().number(), number);
        // The computing threads continue: the counter moves.
        let mut after = status(&mut program);
        wait_until("the threads that compute go on", || {
            after = status(&mut program);
            after.0 != before
        });
        assert_eq!(after.1, 0, "a system call of the program failed");
        before = after.0;
    }
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "nothing but reports on standard error");
}
