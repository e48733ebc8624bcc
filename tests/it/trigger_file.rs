//! A file whose touch requests a report, and the least time between two reports.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::json;

use crate::program::{Program, program};
use crate::report::{Report, list, text};

/// A directory of the test's own, which it removes.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gmr-trigger-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(file: &Path) -> Program {
    let mut command = Command::new(program!("log_dir"));
    command.env("GMR_LOG_DIR", "off").env("GMR_TRIGGER_FILE", file);
    Program::start_with(command)
}

/// Sets the time of a file, as `touch` does.
fn touch(file: &Path, seconds: u64) {
    let file = File::options().append(true).open(file).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

/// Puts a file of this time in place, in one step.
fn place(file: &Path, seconds: u64) {
    let new = file.with_extension("new");
    File::create(&new).unwrap();
    touch(&new, seconds);
    fs::rename(new, file).unwrap();
}

/// Reads the report of number `number`, which the file has requested.
fn expect_report(program: &mut Program, number: u64, file: &Path) {
    let report = program.next_report();
    assert_eq!(report.number(), number, "{report}");
    assert_eq!(report.trigger(), &json!({"kind": "file", "path": file.to_str(), "coalesced": 0}), "{report}");
}

#[test]
fn a_touched_file_requests_a_report_and_the_signal_does_so_too() {
    let directory = Directory::new("touched");
    let file = directory.0.join("report");
    place(&file, 1);
    let mut program = start(&file);
    touch(&file, 2);
    expect_report(&mut program, 1, &file);
    fs::remove_file(&file).unwrap();
    // Neither its removal nor another file requests one.
    place(&directory.0.join("other"), 3);
    let report = program.report();
    assert_eq!((report.number(), &report.trigger()["kind"]), (2, &json!("signal")), "{report}");
    place(&file, 4);
    expect_report(&mut program, 3, &file);
    // Another one of the same time.
    place(&file, 4);
    expect_report(&mut program, 4, &file);
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}

/// There is nothing to watch at first: the directory is looked for once a second.
#[test]
fn a_file_in_a_directory_that_is_made_later_requests_a_report() {
    let parent = Directory::new("later");
    let file = parent.0.join("run/report");
    let mut program = start(&file);
    fs::create_dir(parent.0.join("run")).unwrap();
    place(&file, 1);
    expect_report(&mut program, 1, &file);
    fs::remove_dir_all(parent.0.join("run")).unwrap();
    assert_eq!(program.report().number(), 2, "its removal requests none");
    fs::create_dir(parent.0.join("run")).unwrap();
    place(&file, 2);
    expect_report(&mut program, 3, &file);
}

#[test]
fn a_program_is_idle_while_other_files_change() {
    let directory = Directory::new("busy");
    let mut program = start(&directory.0.join("report"));
    place(&directory.0.join("other"), 0);
    for number in 0..1_000 {
        touch(&directory.0.join("other"), number);
    }
    assert_eq!(program.report().number(), 1);
}

/// The interval is longer than the time after which a reporter counts as stuck.
#[test]
fn signals_within_the_interval_share_a_report_at_its_end() {
    const INTERVAL: Duration = Duration::from_secs(4);
    let directory = Directory::new("interval");
    let file = directory.0.join("report");
    let mut command = Command::new(program!("log_dir"));
    command.env("GMR_LOG_DIR", "off").env("GMR_TRIGGER_FILE", &file).env("GMR_MIN_INTERVAL", "4s");
    let mut program = Program::start_with(command);
    let made_at =
        |report: &Report| humantime::parse_rfc3339(text(&report.heading()["made_at"])).expect("a time");
    let first = program.report();
    place(&file, 1);
    program.signal(Signal::USR2);
    program.signal(Signal::USR2);
    let second = program.next_report();
    // The clock of the heading may be adjusted a little.
    let between = made_at(&second).duration_since(made_at(&first)).expect("later");
    assert!(between + Duration::from_millis(100) > INTERVAL, "{between:?}");
    assert_eq!((first.number(), second.number()), (1, 2));
    assert_eq!(text(&second.trigger()["kind"]), "signal", "{second}");
    let notes = list(&second.heading()["notes"]);
    assert!(notes.iter().any(|note| text(note).contains("was touched")), "{notes:?}");
    // All have been answered.
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
}
