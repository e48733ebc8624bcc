//! What gdb prints for the same process, for a few threads whose stacks do not change.

use std::collections::BTreeMap;
use std::process::Command;

use crate::program::{Program, program};
use crate::report::Stack;
use crate::tools;

/// Threads in different states, none of which computes.
const COMPARED: [&str; 8] = [
    "station_00",
    "station_01",
    "station_02",
    "station_03",
    "station_04",
    "station_05",
    "station_06",
    "station_08",
];

#[test]
fn gdb_finds_the_same_functions() {
    let mut program = Program::start(program!("stations"));
    // Each thread has to arrive first; from then on it does not move. Where all of them start, they
    // wait too, but in the first of their functions.
    let report = program.report_when("the compared threads are where they wait", |report| {
        let is_there = |name: &&str| {
            let thread = report.thread(name);
            !thread.waiting().is_null() && in_report(&thread.stack()).len() > 1
        };
        report.has_all_names() && COMPARED.iter().all(is_there)
    });
    let Some(by_gdb) = backtraces(program.pid()) else { return };
    let by_gdb: BTreeMap<u64, Vec<String>> = by_gdb
        .into_iter()
        .map(|(tid, frames)| (tid, frames.iter().filter_map(|frame| own(&frame.function)).collect()))
        .collect();
    for name in COMPARED {
        let thread = report.thread(name);
        let ours = in_report(&thread.stack());
        let theirs = by_gdb.get(&thread.tid()).unwrap_or_else(|| panic!("gdb does not see thread {name}"));
        assert_eq!(&ours, theirs, "the functions of {name}");
        assert!(ours.last().is_some_and(|function| function.ends_with(name)), "{name}: {ours:?}");
    }
}

/// A frame, as gdb prints it.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The name with its generic arguments, and without the hash at the end of a symbol, which gdb
    /// shows of a program without debug information of its variables.
    pub(crate) function: String,
    /// The path of its file and the line, if gdb has them.
    pub(crate) place: Option<(String, u64)>,
}

/// The stack of each thread, by gdb, innermost first. None where there is no gdb, or it may not
/// attach to processes.
pub(crate) fn backtraces(pid: u32) -> Option<BTreeMap<u64, Vec<Frame>>> {
    let gdb = Command::new("gdb")
        .args(["-p", &pid.to_string(), "-batch", "-nx", "-ex", "set debuginfod enabled off"])
        .args(["-ex", "set backtrace limit 0", "-ex", "set backtrace past-main on"])
        .args(["-ex", "thread apply all bt"])
        .output();
    let Ok(output) = gdb else {
        tools::missing("gdb");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut threads = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with("Thread ") {
            // `(Thread 0x… (LWP 5))`; without libthread_db, for a static program, `(LWP 5 "name")`.
            let rest = line.split("(LWP ").nth(1).and_then(|rest| rest.split([')', ' ']).next());
            current = rest.and_then(|tid| tid.parse::<u64>().ok());
        } else if let (Some(tid), Some(frame)) = (current, frame(line)) {
            threads.entry(tid).or_insert_with(Vec::new).push(frame);
        }
    }
    if threads.is_empty() {
        let problem = format!("gdb may not attach here:\n{}", String::from_utf8_lossy(&output.stderr));
        tools::unusable(&problem, "allow ptrace (CAP_SYS_PTRACE in a container, or Yama's ptrace_scope 0)");
        return None;
    }
    Some(threads)
}

/// `#3  0x... in stations::station_04 () at ...`, or without the address.
fn frame(line: &str) -> Option<Frame> {
    let numbered =
        line.strip_prefix('#')?.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start();
    let function = match numbered.strip_prefix("0x") {
        Some(rest) => rest.split_once(" in ")?.1,
        None => numbered,
    };
    let place = line.rsplit_once(" at ").and_then(|(_, place)| {
        let (file, line) = place.rsplit_once(':')?;
        Some((file.to_owned(), line.parse().ok()?))
    });
    let name = function.split(" (").next()?;
    let name = name.rsplit_once("::").filter(|(_, last)| is_hash(last)).map_or(name, |(path, _)| path);
    Some(Frame { function: name.to_owned(), place })
}

fn is_hash(name: &str) -> bool {
    name.strip_prefix('h').is_some_and(|hash| hash.len() == 16 && u64::from_str_radix(hash, 16).is_ok())
}

fn in_report(stack: &Stack<'_>) -> Vec<String> {
    stack.functions().filter_map(own).collect()
}

/// The name without generic arguments, if it is a function of the test program: the two tools write
/// those of the standard library differently.
fn own(function: &str) -> Option<String> {
    let name = function.split('<').next()?;
    (name.starts_with("stations::") && !name.contains('{')).then(|| name.to_owned())
}
