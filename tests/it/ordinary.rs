//! Adding gmr to a program changes nothing except that it can report: its result, exit code and
//! arguments are unaffected.

use std::process::{Command, Output};

use rustix::process::Signal;

use crate::program::{Program, program};
use crate::report::{list, text};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program!("ordinary"));
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(std::process::Stdio::null()).output().expect("it starts")
}

#[test]
fn the_result_of_main_is_kept() {
    assert_eq!(run(&["seven"], &[]).status.code(), Some(7));
    let failed = run(&["fail"], &[]);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&failed.stderr), "Error: \"as asked\"\n");
}

#[test]
fn the_options_are_in_the_report() {
    let mut program = Program::start(program!("ordinary"));
    let (own, pid) = (std::process::id(), program.pid());
    program.signal(Signal::USR1);
    let report = program.next_report();
    let package = report.package();
    for (field, value) in
        [("product", "ordinary"), ("vendor", "ACME"), ("version", "1.2"), ("profile", "debug")]
    {
        assert_eq!(package[field], value, "{field} in {package}");
    }
    for (field, start) in [("executable", "/"), ("rustc", "1."), ("started_at", "20")] {
        assert!(text(&package[field]).starts_with(start), "{field} in {package}");
    }
    for field in ["build_id", "target"] {
        assert!(!text(&package[field]).is_empty(), "{field} in {package}");
    }
    assert!(package["uptime_ms"].is_u64(), "{package}");

    let trigger = report.trigger();
    assert_eq!((&trigger["kind"], &trigger["name"]), (&"signal".into(), &"SIGUSR1".into()));
    let sender = &trigger["sender"];
    assert_eq!(sender["pid"], own, "{trigger}");
    assert!(sender["uid"].is_u64() && sender["command"].is_string(), "{trigger}");
    assert_eq!(report.heading()["pid"], pid);
    let process = &list(&report.data("Processes", "processes")["processes"])[0];
    assert_eq!((&process["pid"], &process["parent_pid"]), (&pid.into(), &own.into()), "{process}");
    assert!(!list(&process["command"]).is_empty(), "{process}");
    assert!(program.end().0.success());
}

#[test]
fn the_operator_chooses_another_signal() {
    let mut command = Command::new(program!("ordinary"));
    command.env("GMR_SIGNAL", "USR2");
    let mut program = Program::start_with(command);
    assert_eq!(program.report().trigger()["name"], "SIGUSR2");
}

#[test]
fn an_unusable_setting_costs_a_warning_and_the_programs_own_is_used() {
    let mut command = Command::new(program!("ordinary"));
    command.env("GMR_SIGNAL", "nonsense").env("GMR_BACKTRACE", "everything");
    let mut program = Program::start_with(command);
    program.signal(Signal::USR1);
    let warnings = [program.next_error_line(), program.next_error_line()];
    assert!(warnings.iter().all(|line| line.starts_with("gmr: ")), "{warnings:?}");
    let about = |words: [&str; 2]| warnings.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(about(["nonsense", "SIGUSR1"]), "what it reads, and which signal it is instead: {warnings:?}");
    assert!(about(["GMR_BACKTRACE", "everything"]), "{warnings:?}");
    assert_eq!(program.next_report().trigger()["name"], "SIGUSR1");
}

#[test]
fn main_runs_even_if_gmr_cannot_be_installed() {
    for signal in ["SIGKILL", "nonsense"] {
        let output = run(&["seven"], &[("GMR_SIGNAL", signal)]);
        assert_eq!(output.status.code(), Some(7));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with("gmr: ") && errors.contains(signal), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn a_crate_that_is_only_linked_contributes() {
    let mut program = Program::start(program!("linked"));
    let report = program.report();
    assert!(report.titles().contains(&"Linked Section"), "{:?}", report.titles());
}
