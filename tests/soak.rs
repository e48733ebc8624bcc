//! Reports in a loop about a program that makes reporting hard, for ten seconds or
//! `GMR_SOAK_SECONDS`.
//!
//! The campaign of faults (`soak/campaign.rs`) runs beside it.
//!
//! A test binary of its own, which `cargo xtask test` runs after all others: the program uses all
//! processors.
//!
//! The short run succeeds on any machine: it continues until each thread has been seen where it is
//! and has made progress. How many stacks may be missing depends on the load of the machine, so
//! only a run with an explicit length has limits for that.

#[path = "soak/campaign.rs"]
mod campaign;
#[path = "it/cgroup.rs"]
mod cgroup;
#[path = "it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::program::{LIMIT, Program, program, wait_until};
use crate::report::Report;

/// How long it runs by default.
const SECONDS: u64 = 10;

/// The program's own threads, and the function that each has in its stack.
const THREADS: [(&str, &str); 15] = [
    ("birth-1", "hostile::give_birth"),
    ("birth-2", "hostile::give_birth"),
    ("allocate-1", "hostile::allocate"),
    ("allocate-2", "hostile::allocate"),
    ("children", "hostile::start_children"),
    ("fork", "hostile::fork"),
    ("dive", "hostile::dive"),
    ("libraries", "hostile::load_libraries"),
    ("tiny", "hostile::start_tiny_threads"),
    ("alternate", "hostile::raise_on_alternate_stack"),
    ("timer", "hostile::be_interrupted"),
    ("generated", "hostile::run_generated_code"),
    ("sigwait", "hostile::wait_for_signals"),
    ("listen-1", "hostile::listen"),
    ("listen-2", "hostile::listen"),
];

/// Threads whose stack may end early, with a reason: in a library that was loaded or unloaded
/// between reading the modules and copying the stack, and in generated code, which has no unwind
/// information.
const MAY_END_EARLY: [&str; 2] = ["libraries", "generated"];

/// Threads whose stack is missing most of the time, by what they do: wait for a signal, and for a
/// child to call `exec`.
const MAY_BE_MISSING: [&str; 2] = ["sigwait", "children"];

/// Threads that wait forever, and so do nothing that is counted.
const WITHOUT_PROGRESS: [&str; 2] = ["listen-1", "listen-2"];

/// How often each kind of trouble has occurred.
fn counts(program: &mut Program) -> BTreeMap<String, u64> {
    let line = program.ask("counts");
    line.split(' ')
        .map(|count| count.split_once('=').expect("a count has a name"))
        .map(|(name, count)| (name.to_owned(), count.parse().expect("a number")))
        .collect()
}

/// Waits until each thread has done something since these counts, and returns the new ones.
fn progress(program: &mut Program, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut after = BTreeMap::new();
    let mut idle = Vec::new();
    wait_until("everything in the program goes on", || {
        after = counts(program);
        assert_eq!(after["disturbed"], 0, "a read or a wait was disturbed");
        let is_idle = |name: &&str| !WITHOUT_PROGRESS.contains(name) && after[*name] <= before[*name];
        idle = THREADS.map(|(name, _)| name).into_iter().filter(is_idle).collect();
        idle.is_empty()
    });
    after
}

/// Resident memory of its own, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How often something differed from a run on an idle machine.
#[derive(Default)]
struct Misses {
    /// Reports with a section that missed its deadline.
    starving: u64,
    /// Stacks that are missing, by thread.
    stacks: BTreeMap<&'static str, u64>,
}

/// Whether a section failed. The only permitted reason is its deadline: fifteen threads compute on
/// all processors, and gmr's own have to wait for one, too.
fn is_starving(report: &Report) -> bool {
    for section in report.sections() {
        let kind = section["content"]["kind"].as_str().expect("a kind");
        assert!(!["error", "panicked"].contains(&kind), "{section}");
    }
    report.failed() > 0
}

#[test]
fn a_hostile_program_is_reported_on_and_goes_on() {
    let requested = std::env::var("GMR_SOAK_SECONDS").ok().map(|text| text.parse().expect("seconds"));
    let seconds = Duration::from_secs(requested.unwrap_or(SECONDS));
    let mut program = Program::start(program!("hostile"));
    // Until the first line on their standard input, the threads wait under their names.
    let standing = program.report_when("all stacks and names", Report::is_complete);
    let tids = THREADS.map(|(name, _)| standing.thread(name).tid());
    let mut reports = standing.number();
    let mut misses = Misses::default();
    let mut unseen: BTreeSet<&str> = THREADS.map(|(name, _)| name).into();
    let is_enough = |unseen: &BTreeSet<&str>| unseen.iter().all(|name| MAY_BE_MISSING.contains(name));
    let mut samples = Vec::new();

    let mut before = counts(&mut program);
    let begun = Instant::now();
    while begun.elapsed() < seconds || !is_enough(&unseen) || samples.len() < 4 {
        assert!(begun.elapsed() < seconds + LIMIT, "not seen with their stacks: {unseen:?}");
        let report = program.report();
        reports += 1;
        assert_eq!(report.number(), reports);
        samples.push(memory(program.pid()));
        if is_starving(&report) {
            misses.starving += 1;
            continue;
        }
        let threads = report.threads();
        for (tid, (name, function)) in tids.iter().copied().zip(THREADS) {
            // None is lost.
            let thread = threads.iter().find(|thread| thread.tid() == tid);
            let stack = thread.unwrap_or_else(|| panic!("{name} is lost: {report}")).stack();
            // Without the signal, there may be what could be read at rest.
            let is_late = stack.incomplete.is_some_and(|reason| reason.contains("deadline"));
            if stack.is_missing() || is_late {
                *misses.stacks.entry(name).or_default() += 1;
            } else if stack.mentions(function) {
                unseen.remove(name);
            } else if report.has_all_names() && !unseen.contains(name) {
                // It may have been on its way there, but it never leaves.
                let ended = MAY_END_EARLY.contains(&name) && stack.incomplete.is_some();
                assert!(ended, "{name} is not in {function}:\n{stack}");
            }
        }
        if reports.is_multiple_of(20) {
            before = progress(&mut program, &before);
        }
    }
    progress(&mut program, &before);
    let Misses { starving, stacks } = misses;
    println!(
        "{reports} reports in {:.1} s, {starving} with a section that missed its deadline; stacks missed: {stacks:?}; memory {samples:?} KiB",
        begun.elapsed().as_secs_f64()
    );
    if requested.is_some() {
        let by_chance: u64 =
            stacks.iter().filter(|(name, _)| !MAY_BE_MISSING.contains(name)).map(|(_, times)| times).sum();
        assert!(by_chance * 10 <= reports * THREADS.len() as u64, "{stacks:?} missed in {reports} reports");
        assert!(starving * 10 <= reports, "{starving} of {reports} reports were short of CPU time");
    }
    assert_no_leak(&samples);
    assert!(program.end().0.success());
}

/// How much memory may grow, in KiB, without a leak: the allocator keeps what reports have used in
/// each of its arenas, and a report may use an arena for the first time.
const KEPT: u64 = 32 << 10;

/// Fails if every sample of the second half is above all of the first, and by more than the
/// allocator may keep. Two single samples prove nothing: the program itself allocates and frees
/// megabytes all the time. The longer the run, the smaller the leak that this finds: in ten
/// seconds, a megabyte or two per report.
fn assert_no_leak(samples: &[u64]) {
    let (first, second) = samples.split_at(samples.len() / 2);
    let most_before = first.iter().max().expect("there are samples");
    let least_after = second.iter().min().expect("there are samples");
    assert!(*least_after <= most_before + KEPT, "memory has grown, KiB by KiB: {samples:?}");
}
