//! Adopting gmr changes nothing about a program but that it answers: its result, its exit code, its arguments.

use std::process::{Command, Output};

use rustix::process::Signal;

use crate::program::{Program, program};
use crate::report::Report;

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program!("adopter"));
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
    let mut program = Program::start(program!("adopter"));
    program.signal(Signal::USR1);
    let report = program.next_report();
    let package = report.section("Package");
    assert!(
        package.starts_with("product = adopter\nvendor = ACME\nversion = 1.2\nexecutable = /"),
        "{package}"
    );
    for key in ["build-id = ", "rustc = 1.", "target = ", "profile = debug", "started = 20", "uptime = "] {
        assert!(package.contains(&format!("\n{key}")), "no `{key}` in\n{package}");
    }
    let trigger = &report.heading["trigger"];
    let own = std::process::id();
    assert!(trigger.starts_with(&format!("SIGUSR1 from process {own} (")), "{trigger}");
    assert_eq!(report.heading["pid"], program.pid().to_string());
    let processes = report.section("Processes");
    assert!(
        processes.starts_with(&format!("process = {} (parent {own})\ncommand = ", program.pid())),
        "{processes}"
    );
    assert!(program.end().0.success());
}

#[test]
fn the_operator_chooses_another_signal() {
    let mut command = Command::new(program!("adopter"));
    command.env("GMR_SIGNAL", "USR2");
    let mut program = Program::start_with(command);
    assert!(program.report().heading["trigger"].starts_with("SIGUSR2 "));
}

#[test]
fn the_programs_signal_stands_in_for_one_that_is_none() {
    let mut command = Command::new(program!("adopter"));
    command.env("GMR_SIGNAL", "nonsense").env("GMR_BACKTRACE", "everything");
    let mut program = Program::start_with(command);
    program.signal(Signal::USR1);
    let text = program.next_report_text();
    let (warnings, report) = text.split_at(text.find("====").expect("a report"));
    assert_eq!(warnings.lines().count(), 2, "{text}");
    assert!(
        warnings.contains("`nonsense`") && warnings.contains("SIGUSR1 asks for reports instead"),
        "{text}"
    );
    assert!(warnings.contains("GMR_BACKTRACE: `everything` is not known"), "{text}");
    assert!(Report::parse(report).heading["trigger"].starts_with("SIGUSR1 "), "{text}");
}

#[test]
fn main_runs_even_if_gmr_cannot_be_installed() {
    for (signal, reason) in
        [("SIGKILL", "SIGKILL cannot ask for reports"), ("nonsense", "there is no signal `nonsense`")]
    {
        let output = run(&["seven"], &[("GMR_SIGNAL", signal)]);
        assert_eq!(output.status.code(), Some(7));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with("gmr: warning: ") && errors.contains(reason), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn a_crate_that_is_only_linked_contributes() {
    let mut program = Program::start(program!("linked"));
    let report = program.report();
    assert!(report.titles().contains(&"Linked Section"), "{:?}", report.titles());
}
