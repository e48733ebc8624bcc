//! What others do with the report signal: an operator chooses one that cannot be handled, a section
//! sends it, and code replaces its handler after gmr was installed.

use std::process::Command;

use crate::program::{Program, program};
use crate::report::{Report, list, text};

fn start(mode: &str) -> Program {
    let mut command = Command::new(program!("signals"));
    command.arg(mode);
    Program::start_with(command)
}

fn notes(report: &Report) -> Vec<&str> {
    list(&report.heading()["notes"]).iter().map(text).collect()
}

fn package_notes(report: &Report) -> Vec<&str> {
    list(&report.package()["notes"]).iter().map(text).collect()
}

/// The C library reserves signal 32 for itself.
#[test]
fn a_signal_that_cannot_be_handled_is_replaced_by_the_programs() {
    let mut command = Command::new(program!("signals"));
    command.env("GMR_SIGNAL", "32");
    let mut program = Program::start_with(command);
    let warning = program.next_error_line();
    assert!(warning.contains("GMR_SIGNAL") && warning.contains("using SIGUSR2"), "{warning}");
    let report = program.report();
    assert_eq!(report.heading()["trigger"]["name"], "SIGUSR2");
    assert!(program.end().0.success());
}

#[test]
fn a_section_that_signals_its_own_process_gets_one_more_report() {
    let mut program = start("signals-itself");
    for number in [1, 3] {
        let report = program.report();
        assert_eq!((report.number(), notes(&report).len()), (number, 0), "{report}");
        let more = program.next_report();
        assert_eq!(more.number(), number + 1);
        assert_eq!(more.heading()["trigger"]["sender"]["pid"], program.pid());
        assert!(notes(&more)[0].contains(&format!("itself while report {number}")), "{more}");
    }
    assert!(program.end().0.success());
}

#[test]
fn a_section_that_signals_nobody_gets_one_report() {
    let mut program = start("");
    for number in 1..=3 {
        let report = program.report();
        assert_eq!((report.number(), notes(&report).len()), (number, 0), "{report}");
        assert_eq!(package_notes(&report), [""; 0], "the signal is gmr's");
    }
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{rest}");
}

#[test]
fn a_signal_that_was_taken_away_is_said_once_and_in_package() {
    for (how, what) in [("ignore", "ignoring"), ("default", "the default"), ("keep", "another handler")] {
        let mut program = start("");
        assert_eq!(program.ask(how), "done");
        for _ in 0..2 {
            let report = Report::parse(&program.ask("capture"));
            let [note] = package_notes(&report)[..] else { panic!("{how}: {report}") };
            assert!(note.starts_with("SIGUSR2 no longer") && note.contains(what), "{how}: {note}");
        }
        let warning = program.next_error_line();
        assert!(warning.starts_with("gmr: warning: SIGUSR2 no longer"), "{how}: {warning}");
        assert_eq!(program.end().1, "", "{how}");
    }
}

/// As other libraries for signals do.
#[test]
fn a_signal_that_another_handler_passes_on_is_not_taken_away() {
    let mut program = start("");
    assert_eq!(program.ask("pass on"), "done");
    for _ in 0..2 {
        assert_eq!(package_notes(&program.report()), [""; 0]);
        assert_eq!(package_notes(&Report::parse(&program.ask("capture"))), [""; 0]);
    }
    assert_eq!(program.end().1, "");
}

/// The signal is the program's, which asks for reports when it receives one.
#[test]
fn without_a_signal_the_programs_handler_is_the_only_one() {
    for (chosen, by_signal) in [(None, false), (Some("none"), false), (Some("USR1"), true)] {
        let mut command = Command::new(program!("own_signal"));
        command.envs(chosen.map(|chosen| ("GMR_SIGNAL", chosen)));
        let mut program = Program::start_with(command);
        for number in 1..=2 {
            let report = program.report();
            assert_eq!((&report.heading()["trigger"]["kind"], report.number()), (&"api".into(), number));
            assert_eq!((report.failed(), package_notes(&report).len()), (0, 0), "{report}");
            let is_watching = report.threads().iter().any(|thread| thread.name() == "gmr signal");
            assert_eq!(is_watching, by_signal, "{report}");
        }
        if by_signal {
            program.signal(rustix::process::Signal::USR1);
            assert_eq!(program.next_report().heading()["trigger"]["name"], "SIGUSR1");
        }
        let (status, rest) = program.end();
        assert_eq!((status.success(), rest.as_str()), (true, ""));
    }
}

#[test]
fn without_a_signal_its_action_is_the_default_one_from_the_start() {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::Signal;

    let mut command = Command::new(program!("signals"));
    command.env("GMR_SIGNAL", "none");
    let mut program = Program::start_with(command);
    assert!(Report::parse(&program.ask("capture")).threads().len() > 1);
    program.signal(Signal::USR2);
    assert_eq!(program.end().0.signal(), Some(Signal::USR2.as_raw()));
}
