//! Programs in which nothing is wrong have no finding above `info`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::program::{Program, program, scaled};
use crate::report::{Report, text};

/// A mode of the program.
struct Mode {
    name: String,
    is_busy: bool,
    what: String,
}

fn modes() -> Vec<Mode> {
    let mut program = Program::start(program!("healthy"));
    let mode = |line: &str| {
        let [name, kind, what] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        Mode { name: name.to_owned(), is_busy: kind == "busy", what: what.to_owned() }
    };
    program.ask("list").split('\u{1e}').map(mode).collect()
}

fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Program {
    let mut command = Command::new(program!("healthy"));
    command.args(arguments);
    Program::start_with(command)
}

/// The findings that a healthy program must not have. What the whole machine or the whole cgroup
/// has nearly used up is not its fault.
fn alarms(report: &Report) -> Vec<&Value> {
    const OF_OTHERS: [&str; 3] = ["limit.disk", "limit.memory", "limit.threads"];
    let is_alarm =
        |finding: &&Value| finding["severity"] != "info" && !OF_OTHERS.contains(&text(&finding["code"]));
    report.findings().iter().filter(is_alarm).collect()
}

/// A few reports of each mode. The modes share processes, and those that would run all the time
/// pause, because this is to cost little; `table` is thorough.
#[test]
fn healthy_programs_have_no_finding_above_info() {
    const REPORTS: usize = 2;
    let modes = modes();
    for is_busy in [false, true] {
        let names = modes.iter().filter(|mode| mode.is_busy == is_busy).map(|mode| mode.name.as_str());
        let mut program = start(["gently"].into_iter().chain(names));
        for _ in 0..REPORTS {
            let report = program.report();
            assert!(alarms(&report).is_empty(), "{:?}\n{report}", alarms(&report));
        }
    }
}

/// How many reports of each mode the campaign makes, and of those that are busy: their reports wait
/// for a processor.
const REPORTS: usize = 1_000;
const REPORTS_OF_BUSY: usize = 200;

/// Makes reports of each mode, in a process of its own, prints a table of what is found, and writes
/// it into `docs/findings.md` if `GMR_TEST_WRITE_FINDINGS` is set. `GMR_TEST_HEALTHY` selects a
/// mode, of which nothing is written.
#[test]
#[ignore = "it takes half an hour; `cargo xtask findings` runs it"]
fn table() {
    let only = std::env::var("GMR_TEST_HEALTHY").ok();
    let mut rows = String::from("| healthy program | reports | findings above `info` |\n|---|---:|---:|\n");
    let mut all = 0;
    for mode in modes().into_iter().filter(|mode| only.as_ref().is_none_or(|only| *only == mode.name)) {
        let reports = scaled(if mode.is_busy { REPORTS_OF_BUSY } else { REPORTS });
        let started = Instant::now();
        let mut program = start([mode.name.as_str()]);
        let mut alarmed = 0;
        for number in 0..reports {
            let report = program.report();
            let found = alarms(&report);
            if !found.is_empty() {
                alarmed += found.len();
                keep(&mode.name, number, &report, &found);
            }
        }
        println!("{}: {alarmed} above info in {reports} reports, {:.1?}", mode.name, started.elapsed());
        let _ = writeln!(rows, "| {} | {reports} | {alarmed} |", mode.what);
        all += alarmed;
    }
    println!("{rows}");
    if only.is_none() && std::env::var_os("GMR_TEST_WRITE_FINDINGS").is_some() {
        write(&rows);
    }
    assert_eq!(all, 0, "findings above info");
}

/// Prints the findings, and keeps the report.
fn keep(mode: &str, number: usize, report: &Report, found: &[&Value]) {
    for finding in found {
        println!("{mode}, report {number}: {}: {}", text(&finding["code"]), text(&finding["message"]));
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("healthy-{mode}-{number}.json"));
    fs::write(&path, report.to_string()).expect("the report can be kept");
    println!("  the report is in {}", path.display());
}

/// Replaces the table in the documentation.
fn write(rows: &str) {
    const BEGIN: &str = "<!-- healthy programs -->\n";
    const END: &str = "<!-- end of healthy programs -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings.md");
    let page = fs::read_to_string(&path).expect("the page can be read");
    let (before, rest) = page.split_once(BEGIN).expect("the table begins");
    let (_, after) = rest.split_once(END).expect("the table ends");
    fs::write(&path, format!("{before}{BEGIN}{rows}{END}{after}")).expect("the page can be written");
}
