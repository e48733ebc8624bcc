//! Whole stacks beside those that gdb prints of the same process a moment later: two hundred threads in every state there is.

use crate::gdb::{self, Frame};
use crate::program::{Program, program};
use crate::report::{Report, Thread};

/// How many of the threads that did not move must agree, in percent.
const ASKED: usize = 99;

#[test]
fn stacks_are_those_that_gdb_finds() {
    let mut command = std::process::Command::new(program!("crossroads"));
    command.env("GMR_BACKTRACE", "full");
    let mut program = Program::start_with(command);
    // Until all but those that compute are where they wait: then two reports in a row say the same.
    let mut before = program.report();
    let by_gdb = loop {
        let report = program.report();
        let moved = threads(&report).iter().filter(|thread| !stood_still(thread, &before)).count();
        before = report;
        if moved <= 4 {
            break gdb::backtraces(program.pid());
        }
    };
    let Some(by_gdb) = by_gdb else { return };
    let after = program.report();

    let (mut judged, mut disagreeing) = (0, Vec::new());
    for thread in threads(&before).iter().filter(|thread| stood_still(thread, &after)) {
        judged += 1;
        let ours = in_report(&thread.body);
        let theirs = by_gdb.get(&thread.tid).map(|frames| in_gdb(frames)).unwrap_or_default();
        if !agree(&ours, &theirs) {
            disagreeing.push(format!("{}\n  report: {ours:?}\n  gdb:    {theirs:?}", thread.name));
        }
    }
    let percent = 100.0 * f64::from(judged - u32::try_from(disagreeing.len()).unwrap()) / f64::from(judged);
    println!("{percent:.1} % of {judged} threads that did not move agree");
    assert!(judged >= 200, "only {judged} threads stood still");
    assert!(
        disagreeing.len() * 100 <= judged as usize * (100 - ASKED),
        "{percent} %\n{}",
        disagreeing.join("\n")
    );
}

/// The program's own threads.
fn threads(report: &Report) -> Vec<Thread> {
    report
        .threads()
        .into_iter()
        .filter(|thread| matches!(thread.role.as_str(), "" | ", main thread"))
        .collect()
}

fn stood_still(thread: &Thread, other: &Report) -> bool {
    let computes = thread.name.starts_with("compute");
    let same = |there: &Thread| there.tid == thread.tid && in_report(&there.body) == in_report(&thread.body);
    !computes && threads(other).iter().any(same)
}

/// What both call a stack: the functions of Rust one by one; of C, whatever stands between them.
#[derive(Debug, PartialEq)]
enum Step {
    Rust(String),
    /// Of one place in the C library, gdb shows the functions that were inlined into one another there, and the report the one that has the symbol.
    C(Vec<String>),
}

fn in_report(body: &str) -> Vec<Step> {
    steps(body.lines().filter_map(|line| {
        let is_place = |place: &str| place.contains(".rs:") || place.contains("+0x");
        let (place, function) = line.split_once(" in ").filter(|(place, _)| is_place(place))?;
        Some((function.trim_end_matches(" (inlined)"), place.contains(".rs:")))
    }))
}

fn in_gdb(frames: &[Frame]) -> Vec<Step> {
    steps(frames.iter().map(|frame| (frame.function.as_str(), frame.rust)))
}

fn steps<'a>(functions: impl Iterator<Item = (&'a str, bool)>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (function, rust) in functions {
        match (rust, steps.last_mut()) {
            (true, _) => steps.push(Step::Rust(plain(function))),
            (false, Some(Step::C(names))) => names.push(of_c(function)),
            (false, _) => steps.push(Step::C(vec![of_c(function)])),
        }
    }
    steps
}

fn agree(ours: &[Step], theirs: &[Step]) -> bool {
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|steps| match steps {
            (Step::Rust(ours), Step::Rust(theirs)) => ours == theirs,
            (Step::C(ours), Step::C(theirs)) => ours.iter().all(|name| theirs.contains(name)),
            _ => false,
        })
}

/// The last name of a path and the closures in it: the two write what stands before, generic arguments and implementations, each in its own way.
///
/// `core::panic::unwind_safe::{impl#23}::call_once<(), ..>` and `<core::panic::unwind_safe::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once` are both `call_once`.
fn plain(function: &str) -> String {
    let mut depth = 0_u32;
    let bare: String = function
        .trim_end_matches("{{vtable.shim}}")
        .replace("->", "")
        .chars()
        .filter(|letter| {
            depth += u32::from(*letter == '<');
            let outside = depth == 0;
            depth -= u32::from(*letter == '>');
            outside
        })
        .collect();
    let names: Vec<&str> = bare.split("::").filter(|name| !name.is_empty()).collect();
    let is_closure = |name: &&str| name.contains("closure");
    let closures = names.iter().rev().take_while(|name| is_closure(name)).count();
    let name = names[..names.len() - closures].last().copied().unwrap_or_default();
    format!("{name}{}", " closure".repeat(closures))
}

/// A function of C has several names: `read`, `__read`, `__libc_read`, `__GI___libc_read`.
fn of_c(function: &str) -> String {
    let name = function.trim_start_matches("__GI_").trim_start_matches('_').trim_start_matches("libc_");
    name.split('.').next().unwrap_or(name).to_owned()
}
