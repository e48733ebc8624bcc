//! Reports of programs that see less of themselves than others do: main has ended, there is no
//! `/proc`, or that of another PID namespace; and files that block their readers.

use std::process::Command;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::program::{Program, program};
use crate::report::{Report, list, text};

fn start(arguments: &[&str]) -> Result<Program, String> {
    let mut command = Command::new(program!("namespaces"));
    command.args(arguments);
    Program::try_start(command)
}

/// All that a report of the program has to show.
fn assert_is_whole(report: &Report) {
    assert_eq!(report.failed(), 0, "{report}");
    report.thread("parked").stack().expect("namespaces::park");
    let package = report.package();
    assert!(text(&package["executable"]).ends_with("/namespaces"), "{package}");
    for known in ["build_id", "rustc", "started_at"] {
        assert!(!text(&package[known]).is_empty(), "{known}: {package}");
    }
    let processes = list(&report.data("Processes", "processes")["processes"]);
    let [process] = processes else { panic!("one process: {processes:?}") };
    assert!(text(&process["command"][0]).ends_with("/namespaces"), "{process}");
    assert_eq!(process["pid"], report.heading()["pid"], "{report}");
}

fn is_whole(report: &Report) -> bool {
    report.is_complete() && report.thread("parked").stack().is_whole()
}

#[test]
fn an_ordinary_program_has_a_whole_report() {
    let mut program = start(&["nothing"]).unwrap();
    assert_is_whole(&program.report_when("all names and stacks", is_whole));
}

#[test]
fn a_program_whose_main_thread_has_ended_has_a_whole_report() {
    let mut program = start(&["main-exits"]).unwrap();
    let is_named = |report: &Report| {
        let stack = report.thread("server").stack();
        stack.is_whole() && stack.has("namespaces::wait_for_a_line") && report.has_all_names()
    };
    let report = program.report_when("the stacks of the threads that live", is_named);
    assert_is_whole(&report);
    let main = report.threads().into_iter().find(|thread| thread.role() == "main").expect("it is listed");
    assert_eq!(main.state(), Some("zombie"));
    assert_eq!(main.stack().incomplete, Some("it has exited"));
    let waiting = report.thread("server").waiting();
    assert!(text(&waiting["target"]).starts_with("pipe:["), "{waiting}");
}

#[test]
fn a_program_that_has_changed_its_root_directory_has_a_whole_report() {
    let mut program = match start(&["chroot"]) {
        Ok(program) => program,
        Err(skipped) => return eprintln!("{skipped}"),
    };
    let root = format!("gmr-root-{}", program.pid());
    // The files of libraries are out of reach, so that their symbols stay unknown.
    let is_named = |report: &Report| report.thread("parked").stack().has("namespaces::park");
    let report = program.report_when("the names of the program's own functions", is_named);
    drop(program);
    std::fs::remove_dir(std::env::temp_dir().join(root)).unwrap();
    assert_is_whole(&report);
}

/// `unshare` gives the program a PID namespace, and leaves it the `/proc` of this one.
#[test]
fn ids_of_two_namespaces_are_not_compared() {
    let mut command = Command::new("unshare");
    command.args(["--fork", "--kill-child", "--pid", program!("namespaces"), "nothing"]);
    let mut program = match Program::try_start(command) {
        Ok(program) => program,
        Err(reason) => return eprintln!("skipped: no namespace can be made here: {reason}"),
    };
    let child = program.first_child();
    let report = program.report_of_when(child, "all names and stacks", is_whole);
    assert_eq!(report.heading()["pid"], 1);
    assert_is_whole(&report);
    let main = report.threads().into_iter().find(|thread| thread.role() == "main").expect("it is listed");
    assert_eq!(main.tid(), 1);
}

#[test]
fn a_list_of_users_that_blocks_its_reader_holds_up_no_report() {
    let fifo = std::env::temp_dir().join(format!("gmr-passwd-{}", std::process::id()));
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    let started = start(&["nothing", fifo.to_str().unwrap()]);
    let report = started.map(|mut program| program.report_when("all names and stacks", is_whole));
    std::fs::remove_file(&fifo).unwrap();
    match report {
        Ok(report) => {
            assert_is_whole(&report);
            assert!(report.trigger()["sender"]["user"].is_null(), "{}", report.trigger());
        }
        Err(skipped) => eprintln!("{skipped}"),
    }
}
