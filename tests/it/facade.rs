//! gmr-tokio in place of tokio: a report shows each task that a program starts, and `main` once.

use std::collections::BTreeSet;
use std::process::Command;

use gmr::Report as InProcess;
use gmr::model::Content;
use gmr_tokio as tokio; // as a program names it
use serde_json::Value;

use crate::program::{Program, program};
use crate::report::{Frame, Report, list, text};

const SOURCE: &str = include_str!("../facade/src/program.rs");

/// The lines of the program with a comment of this kind, and what it says.
fn marked(kind: &str) -> impl Iterator<Item = (usize, &'static str)> {
    let marker = format!("// {kind}: ");
    SOURCE
        .lines()
        .enumerate()
        .filter_map(move |(index, line)| Some((index + 1, line.split_once(&marker)?.1.trim())))
}

fn start(form: &str) -> Program {
    let mut command = Command::new(program!("facade"));
    command.arg(form);
    Program::start_with(command)
}

/// The line of the program's source where a task was spawned.
fn spawned_at(task: &Value) -> Option<usize> {
    let place = text(&task["spawned_at"]).split_once("facade/src/program.rs:")?.1;
    place.split(':').next()?.parse().ok()
}

/// The lines of the program's source that the task waits at.
fn waits_at<'a>(report: &'a Report, task: &'a Value) -> impl Iterator<Item = u64> {
    let stacks = list(&task["stacks"]).iter().flat_map(|stack| report.stack(stack).frames);
    stacks.filter(|frame| frame.file().ends_with("facade/src/program.rs")).filter_map(Frame::line)
}

/// Whether a task waits at the line with this comment.
fn waits(report: &Report, task: &Value, at: &str) -> bool {
    let line = marked("wait").find(|(_, name)| *name == at).unwrap_or_else(|| panic!("no line `{at}`")).0;
    waits_at(report, task).any(|found| found == line as u64)
}

fn is_main(task: &Value) -> bool {
    task["name"] == "main"
}

/// Starts the program, and returns a report in which `main` waits for the last task.
fn report(form: &str) -> (Program, Report) {
    let mut program = start(form);
    let at_main = format!("main {form}");
    let report = program.report_when("main waits", |report| {
        report.tasks().iter().filter(|task| is_main(task)).any(|main| {
            waits(report, main, &at_main) && waits(report, main, "inside") && report.has_all_names()
        })
    });
    (program, report)
}

/// The program ends by itself once its standard input is closed.
fn end(program: Program) {
    let (status, said) = program.end();
    assert!(status.success(), "{said}");
}

#[test]
fn each_task_is_shown_with_its_line() {
    let (program, report) = report("above");
    let tasks = report.tasks();
    let expected: BTreeSet<usize> = marked("spawn").map(|(line, _)| line).collect();
    let found: BTreeSet<usize> = tasks.iter().filter(|task| !is_main(task)).filter_map(spawned_at).collect();
    assert_eq!(found, expected, "{report}");
    let of = |name: &str| {
        let line = marked("spawn").find(|(_, other)| *other == name).expect("it is in the source").0;
        tasks.iter().find(|task| spawned_at(task) == Some(line)).expect("it is in the report")
    };
    for (task, at) in [
        ("by root", "hour"),
        ("by task", "permit"),
        ("local", "hour"),
        ("in local set", "hour"),
        ("in set, local", "hour"),
        ("by handle", "hour"),
        ("select", "hour"),
        ("join", "hour"),
        ("join", "permit"),
    ] {
        assert!(waits(&report, of(task), at), "{task}: {report}");
    }
    // The one that a method of tokio's has spawned.
    let [runtime] = list(&report.data("Green Threads", "green_threads")["runtimes"]) else {
        panic!("{report}")
    };
    let counts = (&runtime["alive_tasks"], &runtime["untracked_tasks"]);
    assert_eq!(counts, (&9.into(), &1.into()), "{report}");
    let blocking = of("blocking");
    assert_eq!(blocking["state"]["kind"], "polling", "{report}");
    assert!(waits(&report, blocking, "blocking"), "{report}");
    end(program);
}

#[test]
fn main_is_one_task_wherever_the_attributes_are() {
    for form in ["above", "below", "alone"] {
        let (program, report) = report(form);
        assert_eq!(report.tasks().iter().filter(|task| is_main(task)).count(), 1, "{form}: {report}");
        end(program);
    }
}

#[tokio::test]
async fn a_test_is_a_task_of_its_name() {
    let report = InProcess::capture_async().await;
    let section = report.section("Green Threads").expect("each report has it");
    let Content::GreenThreads(section) = &section.content else { panic!("{section:?}") };
    let name = concat!(module_path!(), "::a_test_is_a_task_of_its_name");
    assert!(section.tasks.iter().any(|task| &*task.name == name), "{:?}", section.tasks);
}
