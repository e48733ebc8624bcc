//! Reports in a loop against a program that makes it hard. For `GMR_SOAK_SECONDS`, or a minute.
//!
//! A test binary of its own, which cargo runs when no other does: the program takes all the processors there are.

#[path = "it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::program::{Program, program};

/// The program's own threads, and what each has in its stack unless it is between two calls of it.
const THREADS: [(&str, &str); 15] = [
    ("birth-1", "hostile::give_birth"),
    ("birth-2", "hostile::give_birth"),
    ("allocate-1", "hostile::allocate"),
    ("allocate-2", "hostile::allocate"),
    ("children", "hostile::start_children"),
    ("fork", "hostile::fork"),
    ("dive", "hostile::dive"),
    // A library that came or went between the look at the modules and the copy of the stack.
    ("libraries", "hostile::load_libraries|no unwind information"),
    ("tiny", "hostile::start_tiny_threads"),
    ("alternate", "hostile::raise_on_alternate_stack"),
    ("timer", "hostile::be_interrupted"),
    // In the code that no table tells of, the stack ends, and says so.
    ("generated", "hostile::run_generated_code|no unwind information"),
    ("sigwait", "hostile::wait_for_signals"),
    ("listen-1", "hostile::listen"),
    ("listen-2", "hostile::listen"),
];

/// How often each trouble has come about.
fn counts(program: &mut Program) -> BTreeMap<String, u64> {
    let line = program.ask("counts");
    line.split(' ')
        .map(|count| count.split_once('=').expect("a count has a name"))
        .map(|(name, count)| (name.to_owned(), count.parse().expect("a number")))
        .collect()
}

/// Resident memory of its own, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_hostile_program_is_reported_on_and_goes_on() {
    let seconds = std::env::var("GMR_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let mut program = Program::start(program!("hostile"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let standing = program.report();
    let tids = THREADS.map(|(name, _)| standing.thread(name).tid);
    let mut reports = standing.number();
    let mut missed: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut settled, mut starving) = (None, 0);
    let mut before = counts(&mut program);
    while Instant::now() < until {
        let report = program.report();
        reports += 1;
        assert_eq!(report.number(), reports);
        if report.summary.contains("failed") {
            // Fifteen threads compute on as many processors as there are; gmr's own have to wait for theirs as well.
            let starved = |(_, body): &&(String, String)| body.contains("was given no processor in time");
            assert!(report.sections.iter().filter(starved).count() > 0, "{report:?}");
            starving += 1;
            continue;
        }
        for (tid, (name, functions)) in tids.iter().copied().zip(THREADS) {
            // None is lost. A stack may be missing if its thread was given no processor in time, waits for a signal or for a child, or was starting a thread each time it was looked at.
            let threads = report.threads();
            let thread = threads.iter().find(|thread| thread.tid == tid);
            let body = &thread.unwrap_or_else(|| panic!("{name} is lost: {report:?}")).body;
            if body.contains("(no stack: it ") {
                *missed.entry(name).or_default() += 1;
            } else if reports > 5 {
                let expected = functions.split('|').any(|function| body.contains(function));
                assert!(expected, "{name} is not in {functions}:\n{body}");
            }
        }
        if reports.is_multiple_of(20) {
            // Everything in it goes on.
            let after = counts(&mut program);
            assert_eq!(after["disturbed"], 0, "a read or a wait was disturbed");
            let stands = |name: &&str| !name.starts_with("listen") && after[*name] <= before[*name];
            let standing: Vec<&str> = THREADS.map(|(name, _)| name).into_iter().filter(stands).collect();
            assert!(standing.is_empty(), "{standing:?} did nothing between {before:?} and {after:?}");
            before = after;
            settled.get_or_insert_with(|| memory(program.pid()));
        }
    }
    let grown = memory(program.pid()).saturating_sub(settled.expect("there were twenty reports"));
    println!(
        "{reports} reports in {seconds} s, {starving} without a processor for a part; stacks missed: {missed:?}; memory grown by {grown} KiB"
    );
    // By nature: the one in `sigwait`, and the one that waits for its child to become another program.
    let by_nature = ["sigwait", "children"];
    let by_chance: u64 =
        missed.iter().filter(|(name, _)| !by_nature.contains(name)).map(|(_, times)| times).sum();
    assert!(by_chance * 10 <= reports * THREADS.len() as u64, "{missed:?} missed in {reports} reports");
    assert!(starving * 10 <= reports, "{starving} of {reports} reports had no processor for a part");
    // The allocator keeps what a report has used in each of its arenas (eight a processor), and each report may meet another one. What is more than that would be a leak.
    assert!(grown < 128 << 10, "memory has grown by {grown} KiB");
    assert!(program.end().0.success());
}
