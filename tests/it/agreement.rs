//! Compares whole stacks with those that gdb prints for the same process a moment later: two
//! hundred threads in all states, of programs that are built in different ways.
//!
//! The tests compare a few builds. `cargo xtask agreement` compares all, and writes the table in
//! `docs/agreement.md`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::builds::program_of;
use crate::gdb;
use crate::program::{Program, program, wait_until};
use crate::report::{Report, Stack, Thread};

/// How many of the threads that did not move must agree, in percent.
const REQUIRED: usize = 99;
/// How many threads must not move: all but those that compute.
const STILL: usize = 200;

#[test]
fn of_a_debug_build() {
    compare(Path::new(program!("crossroads"))).expect_enough();
}

#[test]
fn of_a_program_whose_panics_abort() {
    compare(&program_of("aborting", "crossroads").expect("it needs no tool")).expect_enough();
}

#[test]
fn of_a_static_program_with_musl() {
    if let Some(path) = program_of("musl", "crossroads") {
        compare(&path).expect_enough();
    }
}

/// Writes what it finds to a file, for the table.
#[test]
#[ignore = "`cargo xtask agreement` names a build and runs this"]
fn of_a_named_build() {
    let build = env::var("GMR_TEST_BUILD").expect("the name of a build in GMR_TEST_BUILD");
    let file = env::var_os("GMR_TEST_AGREEMENT").expect("the path of a file in GMR_TEST_AGREEMENT");
    let path = match build.as_str() {
        "debug" => Some(program!("crossroads").into()),
        other => program_of(other, "crossroads"),
    };
    let found = compare(&path.expect("it can be built"));
    let row = json!({
        "threads": found.threads,
        "agreeing": found.threads - found.other_functions.len() - found.other_lines.len(),
        "frames": found.frames,
        "lines": found.lines,
        "agreeing_lines": found.agreeing_lines,
    });
    fs::write(file, row.to_string()).expect("the file can be written");
    found.expect_enough();
}

/// What a comparison has found.
#[derive(Default)]
struct Agreement {
    /// The threads that did not move.
    threads: usize,
    /// Threads with other functions or another number of frames, for a message.
    other_functions: Vec<String>,
    /// Those with the same functions but other lines, for a message.
    other_lines: Vec<String>,
    /// Frames of Rust functions that both tools found.
    frames: usize,
    /// Those of which gdb knows the line, and those of them of which the report has the same.
    lines: usize,
    agreeing_lines: usize,
}

impl Agreement {
    /// Panics if too few threads agree. Without gdb, there are none.
    fn expect_enough(&self) {
        let agreeing = self.threads - self.other_functions.len() - self.other_lines.len();
        println!("{agreeing} of {} threads that did not move agree", self.threads);
        let other = format!(
            "other functions:\n{}\nother lines:\n{}",
            self.other_functions.join("\n"),
            self.other_lines.join("\n"),
        );
        assert!(agreeing * 100 >= self.threads * REQUIRED, "{agreeing} of {}; {other}", self.threads);
        if agreeing < self.threads {
            println!("{other}");
        }
    }
}

fn compare(path: &Path) -> Agreement {
    let mut found = Agreement::default();
    let mut program = Program::start(path);
    let mut current = program.report_when("names for all frames", Report::has_all_names);
    let mut compared = None;
    // Repeats until all threads but those that compute stand still before and after gdb's run. On a
    // busy machine, they also stand still for a while at the barrier where they start.
    wait_until("the threads stand still", || {
        let report = program.report();
        let settled = still(&report, &current).len() >= STILL;
        current = report;
        if !settled {
            return false;
        }
        let Some(by_gdb) = gdb::backtraces(program.pid()) else { return true };
        let after = program.report();
        let settled = still(&current, &after).len() >= STILL;
        compared = Some((by_gdb, after));
        settled
    });
    let Some((by_gdb, after)) = compared else { return found };

    for thread in still(&current, &after) {
        found.threads += 1;
        let ours = in_report(&thread.stack());
        let theirs = by_gdb.get(&thread.tid()).map(|frames| in_gdb(frames)).unwrap_or_default();
        let shown = || format!("{}\n  report: {ours:?}\n  gdb:    {theirs:?}", thread.name());
        if !agree(&ours, &theirs) {
            found.other_functions.push(shown());
            continue;
        }
        let pairs: Vec<_> = ours.iter().zip(&theirs).filter_map(lines).collect();
        let agreeing = pairs.iter().filter(|(ours, theirs)| ours == theirs).count();
        found.frames += ours.iter().filter(|step| matches!(step, Step::Rust { .. })).count();
        found.lines += pairs.len();
        found.agreeing_lines += agreeing;
        if agreeing < pairs.len() {
            found.other_lines.push(shown());
        }
    }
    found
}

/// The places of a Rust function in the report and in gdb, if gdb has one.
fn lines<'a>((ours, theirs): (&'a Step, &'a Step)) -> Option<(&'a Option<Place>, &'a Option<Place>)> {
    match (ours, theirs) {
        (Step::Rust { place: ours, .. }, Step::Rust { place: theirs @ Some(_), .. }) => Some((ours, theirs)),
        _ => None,
    }
}

/// The program's own threads that have the same stack in both reports. A thread that computes may
/// look as if it had not moved.
fn still<'a>(report: &'a Report, other: &Report) -> Vec<Thread<'a>> {
    let others = other.threads();
    let is_unchanged = |thread: &Thread<'a>| {
        let there = others.iter().find(|other| other.tid() == thread.tid());
        let stack = thread.stack();
        !stack.is_missing() && there.is_some_and(|there| same(&there.stack(), &stack))
    };
    let is_programs = |thread: &Thread<'a>| matches!(thread.role(), "main" | "program");
    let threads = report.threads().into_iter();
    threads
        .filter(|thread| is_programs(thread) && !thread.name().starts_with("compute") && is_unchanged(thread))
        .collect()
}

fn same(stack: &Stack<'_>, other: &Stack<'_>) -> bool {
    stack.frames.iter().map(|frame| frame.fields()).eq(other.frames.iter().map(|frame| frame.fields()))
}

/// A step of a stack as both tools see it: each Rust function, and one step for all C functions
/// between two of them.
#[derive(Debug)]
enum Step {
    Rust {
        name: String,
        place: Option<Place>,
    },
    /// For an address in the C library, gdb shows the functions that were inlined there, and the
    /// report shows only the one that has the symbol.
    C(Vec<String>),
}

/// The name of a file without its folder, which the two tools complete differently, and a line.
type Place = (String, u64);

fn in_report(stack: &Stack<'_>) -> Vec<Step> {
    steps(stack.frames.iter().map(|frame| (frame.function(), frame.line().map(|line| (frame.file(), line)))))
}

fn in_gdb(frames: &[gdb::Frame]) -> Vec<Step> {
    steps(frames.iter().map(|frame| {
        let place = frame.place.as_ref().map(|(file, line)| (file.as_str(), *line));
        (frame.function.as_str(), place)
    }))
}

fn steps<'a>(frames: impl Iterator<Item = (&'a str, Option<(&'a str, u64)>)>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (function, place) in frames {
        // Without debug information, a path is a Rust function's.
        let is_rust = match place {
            Some((file, _)) => Path::new(file).extension() == Some(OsStr::new("rs")),
            None => function.contains("::"),
        };
        match (is_rust, steps.last_mut()) {
            (true, _) => {
                let name = |file| Path::new(file).file_name().unwrap_or_default().to_string_lossy();
                let place = place.map(|(file, line)| (name(file).into_owned(), line));
                steps.push(Step::Rust { name: plain(function), place });
            }
            // A function without a symbol has no name in the report, and this one in gdb.
            (false, _) if function.is_empty() || function == "??" => {}
            (false, Some(Step::C(names))) => names.push(of_c(function)),
            (false, _) => steps.push(Step::C(vec![of_c(function)])),
        }
    }
    steps
}

fn agree(ours: &[Step], theirs: &[Step]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| agree_at(ours, theirs))
}

fn agree_at(ours: &Step, theirs: &Step) -> bool {
    match (ours, theirs) {
        // Of a program with line tables only, gdb knows some closures without the function around.
        (Step::Rust { name: ours, .. }, Step::Rust { name: theirs, .. }) if theirs.starts_with(' ') => {
            ours.ends_with(theirs)
        }
        (Step::Rust { name: ours, .. }, Step::Rust { name: theirs, .. }) => ours == theirs,
        (Step::C(ours), Step::C(theirs)) => ours.iter().all(|name| theirs.contains(name)),
        _ => false,
    }
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
        .replace("{{vtable.shim}}", "")
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

/// A function of C has several names: `read`, `__read`, `__libc_read`, `__GI___libc_read`;
/// `__libc_start_main`, `__libc_start_main_impl`.
fn of_c(function: &str) -> String {
    let name = function.trim_start_matches("__GI_").trim_start_matches('_').trim_start_matches("libc_");
    // For an address right behind musl's system call, gdb shows the label there.
    let name = if name == "cp_end" { "syscall_cp_asm" } else { name };
    let name = name.trim_end_matches("_impl");
    name.split('.').next().unwrap_or(name).to_owned()
}
