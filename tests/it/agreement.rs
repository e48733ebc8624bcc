//! Compares whole stacks with those that gdb prints for the same process a moment later: two
//! hundred threads in all states.

use std::ffi::OsStr;
use std::path::Path;

use crate::gdb::{self, Frame};
use crate::program::{Program, program, wait_until};
use crate::report::{Report, Stack, Thread};

/// How many of the threads that did not move must agree, in percent.
const REQUIRED: usize = 99;
/// How many threads must not move: all but those that compute.
const STILL: usize = 200;

#[test]
fn stacks_are_those_that_gdb_finds() {
    let mut program = Program::start(program!("crossroads"));
    // Until all but those that compute are where they wait: then two reports in a row say the same.
    let mut current = program.report_when("names for all frames", Report::has_all_names);
    wait_until("the threads stand still", || {
        let report = program.report();
        let settled = still(&report, &current).len() >= STILL;
        current = report;
        settled
    });
    let Some(by_gdb) = gdb::backtraces(program.pid()) else { return };
    let after =
        program.report_when("the threads still stand there", |report| still(&current, report).len() >= STILL);

    let judged = still(&current, &after);
    let disagreeing: Vec<String> = judged
        .iter()
        .filter_map(|thread| {
            let ours = in_report(&thread.stack());
            let theirs = by_gdb.get(&thread.tid()).map(|frames| in_gdb(frames)).unwrap_or_default();
            let agree = agree(&ours, &theirs);
            (!agree).then(|| format!("{}\n  report: {ours:?}\n  gdb:    {theirs:?}", thread.name()))
        })
        .collect();
    let (judged, agreeing) = (judged.len(), judged.len() - disagreeing.len());
    println!("{agreeing} of {judged} threads that did not move agree");
    assert!(agreeing * 100 >= judged * REQUIRED, "{agreeing} of {judged}\n{}", disagreeing.join("\n"));
}

/// The program's own threads that have the same whole stack in both reports. A thread that computes
/// may look as if it had not moved.
fn still<'a>(report: &'a Report, other: &Report) -> Vec<Thread<'a>> {
    let others = other.threads();
    let is_unchanged = |thread: &Thread<'a>| {
        let there = others.iter().find(|other| other.tid() == thread.tid());
        let stack = thread.stack();
        stack.is_whole() && there.is_some_and(|there| in_report(&there.stack()) == in_report(&stack))
    };
    let is_programs = |thread: &Thread<'a>| matches!(thread.role(), "main" | "program");
    let threads = report.threads().into_iter();
    threads
        .filter(|thread| is_programs(thread) && !thread.name().starts_with("compute") && is_unchanged(thread))
        .collect()
}

/// A step of a stack as both tools see it: each Rust function, and one step for all C functions
/// between two of them.
#[derive(Debug, PartialEq)]
enum Step {
    Rust(String),
    /// For an address in the C library, gdb shows the functions that were inlined there, and the
    /// report shows only the one that has the symbol.
    C(Vec<String>),
}

fn in_report(stack: &Stack<'_>) -> Vec<Step> {
    let named = stack.frames.iter().filter(|frame| !frame.function().is_empty());
    steps(named.map(|frame| (frame.function(), is_rust(frame.file()))))
}

fn is_rust(file: &str) -> bool {
    Path::new(file).extension() == Some(OsStr::new("rs"))
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

/// The last name of a path and the closures in it: the two tools write the part before it, generic
/// arguments and implementations differently.
///
/// `core::panic::unwind_safe::{impl#23}::call_once<(), ..>` and
/// `<core::panic::unwind_safe::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once`
/// are both `call_once`.
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
