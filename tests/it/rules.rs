//! Each rule of findings against a program with the fault that it is about, and against a healthy one
//! that looks like it: in programs that are built in several ways. What the rules have to say about
//! these faults in a debug build is tested elsewhere; deadlocks have a table of their own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use Severity::{Error, Info, Warning};

use crate::apart;
use crate::builds::{of_findings, single_program_of};
use crate::program::Program;
use crate::report::{Report, text};

/// A rule, a program with its fault, and a healthy one.
struct Rule {
    code: &'static str,
    /// What a finding is at least: a healthy program may have one that is less severe.
    severity: Severity,
    fault: Way,
    twin: Way,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Info,
    Warning,
    Error,
}

/// A way to run a program.
#[derive(Clone, Copy)]
struct Way {
    program: &'static str,
    arguments: &'static [&'static str],
    place: Place,
    /// What it is asked to do before the report that counts. `REPORT` stands for a report.
    requests: &'static [&'static str],
}

/// Where a program runs.
#[derive(Clone, Copy)]
enum Place {
    Here,
    /// With this variable.
    With(&'static str, &'static str),
    /// Without its symbols.
    Stripped,
    /// As another user than root, to whom some limits do not apply.
    AsNobody,
    OnSmallDisk,
    InOwnNetwork,
}

const REPORT: &str = "report";

const fn way(program: &'static str, arguments: &'static [&'static str]) -> Way {
    Way { program, arguments, place: Place::Here, requests: &[] }
}

const fn at(place: Place, way: Way) -> Way {
    Way { place, ..way }
}

const fn asked(requests: &'static [&'static str], way: Way) -> Way {
    Way { requests, ..way }
}

const fn rule(code: &'static str, severity: Severity, fault: Way, twin: Way) -> Rule {
    Rule { code, severity, fault, twin }
}

const fn ends(mode: &'static [&'static str]) -> Way {
    way("ends", mode)
}

/// Shorter than the time for which the kernel lets a thread run while others wait.
const fn spinning(mode: &'static [&'static str]) -> Way {
    at(Place::With("GMR_SECOND_LOOK", "2ms"), way("spinning", mode))
}

const fn tasks(modes: &'static [&'static str]) -> Way {
    way("stuck_tasks", modes)
}

/// At rest, with what it needs.
const ENOUGH: Way = ends(&["descriptors-few"]);

const FOUR_TIMES: [&str; 4] = ["rests"; 4];

const RULES: [Rule; 31] = [
    rule("limit.descriptors", Error, ends(&["descriptors-all"]), ENOUGH),
    rule(
        "limit.user-threads",
        Info,
        at(Place::AsNobody, ends(&["threads-near"])),
        at(Place::AsNobody, ends(&["threads-few"])),
    ),
    rule("limit.address-space", Warning, ends(&["addresses-near"]), ends(&["addresses-few"])),
    rule("limit.stack", Info, ends(&["stack-near"]), ends(&["stack-few"])),
    rule(
        "limit.disk",
        Warning,
        at(Place::OnSmallDisk, ends(&["disk-full"])),
        at(Place::OnSmallDisk, ends(&["disk-space"])),
    ),
    rule(
        "limit.inodes",
        Warning,
        at(Place::OnSmallDisk, ends(&["inodes-none"])),
        at(Place::OnSmallDisk, ends(&["inodes-left"])),
    ),
    rule(
        "limit.ports",
        Error,
        at(Place::InOwnNetwork, ends(&["ports-all"])),
        at(Place::InOwnNetwork, ends(&["ports-of-two"])),
    ),
    rule("socket.backlog", Error, ends(&["backlog-full"]), ends(&["backlog-space"])),
    rule("peer.waits", Info, ends(&["peer"]), ends(&["peers"])),
    rule(
        "process.growth",
        Info,
        asked(&["threads 3", REPORT, "threads 60"], way("growing", &[])),
        asked(&["threads 63", REPORT], way("growing", &[])),
    ),
    rule("process.zombies", Info, way("standing", &["standing"]), way("standing", &["going"])),
    rule("thread.lock-wait", Info, way("stuck", &["in-order"]), way("stuck", &["waiting"])),
    rule("thread.stuck", Info, way("standing", &["standing"]), way("standing", &["going"])),
    rule("thread.uninterruptible", Info, way("unreachable", &[]), ENOUGH),
    rule("thread.spinning", Info, spinning(&["compute"]), spinning(&["half"])),
    // Without a second look, no thread is known to spin.
    rule(
        "thread.running",
        Info,
        at(Place::With("GMR_SECOND_LOOK", "off"), way("spinning", &["compute"])),
        ENOUGH,
    ),
    rule("thread.no-stack", Info, spinning(&["deaf"]), spinning(&["compute"])),
    rule("thread.cut-stack", Info, way("frames", &[]), ENOUGH),
    rule("task.blocks-worker", Error, tasks(&["blocks"]), tasks(&["blocking"])),
    rule("task.workers-blocked", Error, tasks(&["wedged"]), tasks(&["in-place"])),
    rule("task.not-polled", Error, tasks(&["wedged"]), tasks(&["serves"])),
    rule("task.block-on-in-worker", Warning, tasks(&["block-on"]), tasks(&["block-on-in-place"])),
    rule("task.blocking-pool-full", Info, tasks(&["pool"]), tasks(&["blocking"])),
    rule("task.same-wait", Info, tasks(&["permits"]), tasks(&["serves"])),
    rule("task.never-woken", Info, tasks(&["lost"]), tasks(&["serves"])),
    rule("task.polled-often", Info, tasks(&["spins"]), tasks(&["ticks"])),
    rule("task.longest-wait", Info, tasks(&["rests"]), tasks(&["blocking"])),
    rule("section.failed", Error, way("deadlock", &[]), ENOUGH),
    rule("report.slow", Info, ends(&["slow-section"]), ENOUGH),
    rule("report.names-missing", Info, at(Place::Stripped, ENOUGH), ENOUGH),
    rule(
        "report.task-stacks-missing",
        Info,
        at(Place::With("GMR_POLL_TASKS", "off"), tasks(&FOUR_TIMES)),
        tasks(&FOUR_TIMES),
    ),
];

fn start(build: &Path, way: &Way) -> Program {
    let path = &build.join(way.program);
    let with = |mut command: Command| {
        command.args(way.arguments);
        Program::try_start(command)
    };
    let started = match way.place {
        Place::Here => with(Command::new(path)),
        Place::With(name, value) => {
            let mut command = Command::new(path);
            command.env(name, value);
            with(command)
        }
        Place::Stripped => with(Command::new(stripped(path))),
        Place::AsNobody => Ok(apart::as_nobody(path, way.arguments[0])),
        Place::OnSmallDisk => apart::on_small_disk(path, way.arguments[0]),
        Place::InOwnNetwork => apart::in_namespaces(path, &["--net"], "", way.arguments),
    };
    let mut program = started.unwrap_or_else(|said| panic!("{}: {said}", way.program));
    for request in way.requests {
        if *request == REPORT {
            program.report();
        } else {
            program.ask(request);
        }
    }
    program
}

/// A copy of the program without symbols, beside it.
fn stripped(program: &Path) -> PathBuf {
    let copy = program.with_extension("stripped");
    let status = Command::new("strip").arg("-o").args([&copy, program]).status().expect("strip is installed");
    assert!(status.success(), "{status}");
    copy
}

fn has_fired(report: &Report, rule: &Rule) -> bool {
    let severity = |severity: &str| match severity {
        "error" => Error,
        "warning" => Warning,
        _ => Info,
    };
    let mut findings = report.findings().iter();
    findings.any(|found| found["code"] == rule.code && severity(text(&found["severity"])) >= rule.severity)
}

/// What comes of a rule: whether it fires on the fault, and in how many reports of the healthy twin.
fn outcome(build: &Path, rule: &Rule) -> String {
    const REPORTS: usize = 20;
    /// Some rules wait until something has been as it is for ten seconds.
    const WITHIN: Duration = Duration::from_mins(1);
    /// Some are about what has lasted for a second.
    const AT_LEAST: Duration = Duration::from_millis(2_500);
    let mut program = start(build, &rule.fault);
    let until = Instant::now() + WITHIN;
    let fires = loop {
        if has_fired(&program.report(), rule) {
            break "fires";
        }
        if Instant::now() > until {
            break "silent";
        }
    };
    drop(program);
    let mut program = start(build, &rule.twin);
    let until = Instant::now() + AT_LEAST;
    let (mut made, mut alarms) = (0, 0);
    while made < REPORTS || Instant::now() < until {
        alarms += usize::from(has_fired(&program.report(), rule));
        made += 1;
    }
    // More reports than these are not counted apart: there should be no alarm at all.
    format!("{fires}, {alarms} of {REPORTS}")
}

/// A rule that panics, in a program in which panics abort, is left out, and nothing else is.
#[test]
#[ignore = "it compiles gmr with a rule that panics; `cargo xtask findings` runs it"]
fn a_rule_that_panics_is_left_out() {
    for build in ["faulty", "faulty-aborting"] {
        let mut command = Command::new(single_program_of(build, "ends").expect("it needs no tool"));
        command.arg("descriptors-all");
        let mut program = Program::start_with(command);
        for _ in 0..2 {
            let report = program.report();
            let mut codes: Vec<&str> = report.findings().iter().map(|found| text(&found["code"])).collect();
            // That is of the machine.
            codes.retain(|code| *code != "pressure");
            assert_eq!(codes, ["limit.descriptors", "report.rule-failed"], "{build}: {report}");
            assert_eq!((report.sections().len() > 5, report.failed()), (true, 0), "{build}: {report}");
        }
        assert!(program.end().0.success(), "{build}: the program goes on, and ends by itself");
    }
}

/// Those that have debug information.
const BUILDS: [&str; 4] = ["debug", "release", "lto", "aborting"];

const BEGIN: &str = "<!-- rules -->\n";
const END: &str = "<!-- end of rules -->";

/// Compares what rules find in all builds with the table in `docs/findings.md`, or writes it.
#[test]
#[ignore = "it builds programs in several ways, and needs namespaces; `cargo xtask findings` runs it"]
fn table() {
    let mut rows = format!("| | {} |\n|---|{}\n", BUILDS.join(" | "), "---|".repeat(BUILDS.len()));
    let builds = BUILDS.map(of_findings);
    for rule in &RULES {
        let cells = builds.each_ref().map(|build| outcome(build, rule));
        println!("{}: {cells:?}", rule.code);
        let _ = writeln!(rows, "| `{}` | {} |", rule.code, cells.join(" | "));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings.md");
    let page = fs::read_to_string(&path).expect("the page can be read");
    let (before, rest) = page.split_once(BEGIN).expect("the table begins");
    let (written, after) = rest.split_once(END).expect("the table ends");
    if std::env::var_os("GMR_TEST_WRITE_FINDINGS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{rows}{END}{after}")).expect("the page can be written");
    } else {
        assert_eq!(written, rows, "run `cargo xtask findings --write`");
    }
}
