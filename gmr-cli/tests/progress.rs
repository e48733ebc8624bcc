//! What takes long is said on a terminal, on one line that does not stay. Elsewhere, nothing is.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Stdio;

use gmr_runtime::Report;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::screen::{OnTerminal, lines};
use crate::service::{Service, folder, gmr_command};

/// A named pipe: what reads it waits.
fn pipe(name: &str) -> String {
    let path = folder(name).join("report");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a pipe");
    path.display().to_string()
}

#[test]
fn what_takes_long_is_said_on_a_line_that_does_not_stay() {
    let path = pipe("progress");
    // On the narrow one, it is cut.
    for (columns, expected) in
        [(200, format!("reading {path}, ")), (20, format!("reading {path}")[..19].to_owned())]
    {
        let command =
            OnTerminal::start(&["--ctty"], &["view", &path, "--list", "--no-pager"], (columns, 24), &[]);
        let mut file = File::options().write(true).open(&path).expect("it reads");
        let shown = command.waits(&expected, |screen| {
            let lines = lines(screen);
            lines[0].starts_with(&expected).then_some(lines)
        });
        assert!(shown[1..].iter().all(String::is_empty), "{shown:?}");
        file.write_all(Report::capture().to_json().as_bytes()).expect("it reads");
        drop(file);
        let (status, shown) = command.ends();
        assert!(status.success() && shown.starts_with("1: 2") && !shown.contains("reading"), "{shown}");
    }
}

#[test]
fn a_report_that_takes_long_is_waited_for_visibly() {
    let mut command = Service::command(&[]);
    command.env("SHOP_SLOW", "1").stderr(Stdio::null());
    let mut service = Service::start_with(command).expect("it starts");
    service.tell("late");
    let (pid, file) = (service.pid().to_string(), folder("progress-report").join("report.json"));
    let path = file.display().to_string();
    let arguments = ["report", &pid, "--format", "json", "-o", &path];
    let command = OnTerminal::start(&["--ctty"], &arguments, (100, 24), &[]);
    command.shows(&format!("waiting for the report of process {pid}, "));
    service.tell("on time");
    let (status, shown) = command.ends();
    assert!(status.success() && shown.is_empty(), "{shown}");
    let report = Report::from_json(&fs::read_to_string(file).expect("a file")).expect("a report");
    assert_eq!(report.heading.pid, service.pid());
}

#[test]
fn a_profile_that_takes_long_says_so_and_ends_early() {
    let service = Service::start();
    let pid = service.pid().to_string();
    let arguments = ["top", &pid, "--seconds", "600", "--no-pager"];
    let mut command = OnTerminal::start(&["--ctty"], &arguments, (100, 50), &[]);
    command.shows(&format!("profiling process {pid} for 600 s, Ctrl-C ends it early: "));
    command.press("\x03");
    let (status, shown) = command.ends();
    assert!(status.success() && shown.contains("Where threads waited"), "{shown}");
    assert!(!shown.contains("profiling process"), "{shown}");
}

#[test]
fn without_a_terminal_nothing_is_said() {
    let path = pipe("progress-nowhere");
    let mut command = gmr_command(&["view", &path, "--list"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut file = File::options().write(true).open(&path).expect("it reads");
    // There is none that could say something later.
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).expect("it waits").count();
    assert_eq!(threads, 1);
    file.write_all(Report::capture().to_json().as_bytes()).expect("it reads");
    drop(file);
    let done = child.wait_with_output().expect("it ends");
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}
