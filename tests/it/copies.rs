//! Reports that are made at the same time: by several threads of a program that has not installed
//! gmr, and by several copies of gmr in one process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::mark::marks;
use crate::program::{Program, program, wait_until};
use crate::report::text;

/// A library with its own copy of gmr. cargo builds it next to the tests.
fn plugin() -> PathBuf {
    let tests = std::env::current_exe().expect("it has a path");
    tests.with_file_name("libgmr_test_plugin.so")
}

fn start(arguments: &[&str]) -> Program {
    let mut command = Command::new(program!("copies"));
    command.args(arguments);
    Program::start_with(command)
}

#[test]
fn threads_that_capture_at_once_get_whole_reports_without_an_installation() {
    let mut program = start(&["uninstalled"]);
    assert_eq!(program.ask("eight threads"), "0");
    assert!(program.end().0.success());
}

/// Reports are longer than a pipe's capacity: without an order, they would be interleaved. Until
/// both copies have a thread that writes, only as much is read as keeps the first report from being
/// given up.
#[test]
fn two_copies_answer_a_signal_one_after_the_other() {
    let mut program = start(&[plugin().to_str().expect("UTF-8")]);
    assert_eq!(marks(program.pid()).len(), 2);
    for _ in 0..3 {
        program.signal(Signal::USR2);
        let mut since = Instant::now();
        wait_until("both write", || {
            if since.elapsed() > Duration::from_secs(1) {
                program.wait_for_errors();
                since = Instant::now();
            }
            program.writers() == 2
        });
        let mut products: Vec<String> = (0..2)
            .map(|_| {
                let report = program.next_report();
                assert_eq!(report.failed(), 0, "{report}");
                text(&report.package()["product"]).to_owned()
            })
            .collect();
        products.sort();
        assert_eq!(products, ["plugin", "program"]);
    }
    assert!(program.end().0.success());
}

#[test]
fn two_copies_that_capture_at_once_get_whole_reports() {
    let mut program = start(&[plugin().to_str().expect("UTF-8")]);
    assert_eq!(program.ask("both copies"), "0");
    assert!(program.end().0.success());
}

#[test]
fn one_copy_answers_a_signal_once() {
    let mut program = start(&["alone"]);
    assert_eq!(program.report().package()["product"], "program");
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

#[test]
fn a_mapping_where_claims_would_be_costs_no_report() {
    let mut program = start(&["alone", "in-use"]);
    assert_eq!(program.report().failed(), 0);
    assert!(program.end().0.success());
}

#[test]
fn a_child_does_not_wait_for_a_report_of_its_parent() {
    let mut program = start(&["alone"]);
    program.ask("close the gate");
    program.signal(Signal::USR2);
    assert_eq!(program.ask("wait for the section"), "inside");
    assert_eq!(program.ask("fork"), "true");
    program.ask("open the gate");
    program.next_report();
    assert!(program.end().0.success());
}

/// The names in a directory; in that for shared memory, only those with "gmr".
fn names_in(directory: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(directory).expect("it is there").flatten();
    let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
    names.retain(|name| directory != Path::new("/dev/shm") || name.to_string_lossy().contains("gmr"));
    names
}

#[test]
fn a_program_that_is_killed_leaves_nothing_behind() {
    let directory = std::env::temp_dir().join(format!("gmr-killed-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("it can be made");
    let start = || {
        let mut command = Command::new(program!("copies"));
        command.arg("alone").current_dir(&directory).env("TMPDIR", &directory).env("HOME", &directory);
        Program::start_with(command)
    };
    let moments: [fn(&mut Program); 4] = [
        |_| (),
        |program| program.signal(Signal::USR2),
        // While a section runs.
        |program| {
            program.ask("close the gate");
            program.signal(Signal::USR2);
            program.ask("wait for the section");
        },
        // While the report is being written: the pipe holds a part of it.
        |program| {
            program.signal(Signal::USR2);
            program.wait_for_errors();
        },
    ];
    for wait_for_the_moment in moments {
        let mut program = start();
        wait_for_the_moment(&mut program);
        // Dropping it kills the process.
        drop(program);
        assert_eq!(names_in(&directory), Vec::<OsString>::new());
        assert_eq!(names_in(Path::new("/dev/shm")), Vec::<OsString>::new());
        let mut next = start();
        assert_eq!((next.report().failed(), next.report().number()), (0, 2));
        let (status, rest) = next.end();
        assert_eq!((status.success(), rest.as_str()), (true, ""));
    }
    std::fs::remove_dir(&directory).expect("it is empty");
}
