//! Reports in a loop against a program that makes it hard. For `GMR_SOAK_SECONDS`, or half a minute.

use std::time::{Duration, Instant};

use crate::program::{Program, program};

/// The program's own threads, and the function that each has in its stack unless it is between two calls of it.
const THREADS: [(&str, &str); 8] = [
    ("birth-1", "hostile::give_birth"),
    ("birth-2", "hostile::give_birth"),
    ("allocate-1", "hostile::allocate"),
    ("allocate-2", "hostile::allocate"),
    ("children", "hostile::start_children"),
    ("dive", "hostile::dive"),
    ("listen-1", "hostile::listen"),
    ("listen-2", "hostile::listen"),
];

fn counts(program: &mut Program) -> Vec<u64> {
    program.ask("counts").split(' ').map(|count| count.parse().expect("a number")).collect()
}

/// Resident memory of its own, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_hostile_program_is_reported_on_and_goes_on() {
    let seconds = std::env::var("GMR_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let mut program = Program::start(program!("hostile"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let standing = program.report();
    let tids = THREADS.map(|(name, _)| standing.thread(name).tid);
    let (mut reports, mut missed, mut settled) = (standing.number(), 0_u64, None);
    let mut before = counts(&mut program);
    while Instant::now() < until {
        let report = program.report();
        reports += 1;
        assert_eq!(report.number(), reports);
        assert!(!report.summary.contains("failed"), "{report:?}");
        for (tid, (name, function)) in tids.iter().copied().zip(THREADS) {
            // None is lost. A stack may be missing if its thread was given no processor in time, or was starting another one each time it was looked at.
            let threads = report.threads();
            let thread = threads.iter().find(|thread| thread.tid == tid);
            let body = &thread.unwrap_or_else(|| panic!("{name} is lost: {report:?}")).body;
            if body.contains("(no stack: it ") {
                missed += 1;
            } else if reports > 5 {
                assert!(body.contains(function), "{name} is not in {function}:\n{body}");
            }
        }
        if reports % 20 == 0 {
            // Everything in it goes on.
            let after = counts(&mut program);
            assert!(
                after[..4].iter().zip(&before).all(|(after, before)| after > before),
                "{before:?} {after:?}"
            );
            assert_eq!(after[4], 0, "a read was disturbed");
            before = after;
            settled.get_or_insert_with(|| memory(program.pid()));
        }
    }
    let grown = memory(program.pid()).saturating_sub(settled.expect("there were twenty reports"));
    println!("{reports} reports in {seconds} s, {missed} stacks missed, memory grown by {grown} KiB");
    assert!(missed * 10 <= reports * THREADS.len() as u64, "{missed} stacks missed in {reports} reports");
    // The allocator keeps what a report has used in each of its arenas (eight a processor), and each report may meet another one. What is more than that would be a leak.
    assert!(grown < 128 << 10, "memory has grown by {grown} KiB");
    assert!(program.end().0.success());
}
