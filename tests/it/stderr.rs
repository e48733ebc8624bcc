//! Standard error that is full, closed, or goes nowhere: the process keeps running, and so does the
//! reporter.

use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::program::{Program, is_writing, program, wait_until};
use crate::report::{Report, list, text};
use crate::text::{Text, has_names};
use crate::tools;

fn answers_though_signalled(mut program: Program) -> String {
    for _ in 0..5 {
        program.signal(Signal::USR2);
        program.ask("work").parse::<u64>().expect("it answers");
    }
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    rest
}

#[test]
fn a_closed_standard_error_is_harmless() {
    let shell = format!("exec '{}' 2>&-", program!("storm"));
    let mut command = Command::new("sh");
    command.args(["-c", &shell]);
    assert_eq!(answers_though_signalled(Program::start_with(command)), "");
}

/// SIGPIPE at its default ends a process that writes to a pipe without a reader. A program may have
/// set it so.
#[test]
fn a_reader_that_went_away_is_harmless() {
    let shell = format!("trap - PIPE; exec '{}' 2> >(true)", program!("storm"));
    let mut command = Command::new("bash");
    command.args(["-c", &shell]).stdin(Stdio::piped());
    answers_though_signalled(Program::start_with(command));
}

/// Makes a program give up a report that does not fit in its pipe, because the pipe is not read.
/// After this, the pipe is read again while the program writes its next report.
fn fill_the_pipe(program: &Program) {
    wait_until("the last report has been written", || !program.is_writing());
    program.signal(Signal::USR2);
    wait_until("the report has begun", || program.is_writing());
    wait_until("the report has been given up", || !program.is_writing());
    program.signal(Signal::USR2);
}

#[test]
fn a_full_pipe_costs_the_rest_of_one_report_in_text() {
    let mut command = Command::new(program!("stations"));
    command.env("GMR_FORMAT", "text").env("GMR_BACKTRACE", "full");
    let mut program = Program::start_with(command);
    // With all frames and names, a report is longer than the pipe's capacity.
    let mut number = 0;
    wait_until("a report with all names", || {
        program.signal(Signal::USR2);
        let text = Text::read(&mut program);
        number = Text::parse(&text).number();
        has_names(&text, "stations") && text.len() > PIPE
    });
    fill_the_pipe(&program);
    let text = Text::read(&mut program);
    let next = text.rfind("====                        Guru Meditation").expect("another report");
    let next = text[..next].rfind(&"=".repeat(72)).expect("its first line");
    let report = Text::parse(&text[next..]);
    assert_eq!(report.number(), number + 2);
    assert!(report.heading.iter().any(|line| line.starts_with("note = ")), "{:?}", report.heading);
}

#[test]
fn a_full_pipe_costs_the_rest_of_one_report_in_json() {
    let mut program = Program::start(program!("stations"));
    let number = program.report_when("all stacks and names", Report::is_complete).number();
    fill_the_pipe(&program);
    let line = program.next_error_line();
    assert!(line.starts_with(START), "the first of the two has begun: {line}");
    // On a line of its own.
    let report = program.next_report();
    assert_eq!(report.number(), number + 2);
    let [note] = list(&report.heading()["notes"]) else { panic!("one note: {}", report.heading()) };
    let (lost, note) = (format!("report {}", number + 1), text(note));
    assert!(note.contains(&lost) && note.contains(" bytes"), "which report, and how much: {note}");
}

const START: &str = "{\"schema_version\"";

/// The capacity of a pipe, by Linux's default.
const PIPE: usize = 64 << 10;

/// Starts a program whose standard error is not read, or is read slowly. The first argument says
/// what standard error is.
const NOT_READ: &str = r#"
import fcntl, os, pty, socket, subprocess, sys, tempfile, threading, time
kind, program = sys.argv[1], sys.argv[2:]
if kind.startswith("terminal"):
    reader, writer = pty.openpty()
    if kind == "terminal that is stopped":
        os.write(reader, b"\x13")
elif kind == "socket":
    reader, writer = socket.socketpair()
elif kind == "named pipe":
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pipe")
        os.mkfifo(path)
        reader, writer = os.open(path, os.O_RDONLY | os.O_NONBLOCK), os.open(path, os.O_WRONLY)
elif kind == "full device":
    writer = open("/dev/full", "w")
else:
    reader, writer = os.pipe()
if kind == "broken pipe":
    os.close(reader)
if kind == "slow pipe":
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    def read():
        while True:
            time.sleep(4)
            os.read(reader, 4096)
    threading.Thread(target=read, daemon=True).start()
sys.exit(subprocess.run(program, stderr=writer).returncode)
"#;

fn not_read(kind: &str) -> Command {
    let mut command = Command::new(tools::python());
    command.args(["-c", NOT_READ, kind, program!("standard_error"), "as-it-is"]);
    command
}

/// Starts a program whose first report is not read, and captures reports while the program tries to
/// write that one. Returns the program, and the id of its process.
///
/// If the machine is too busy for the captures to be made before the report is given up, this
/// retries with a new process.
fn capture_meanwhile(kind: &str) -> (Program, u32) {
    let mut found = None;
    wait_until(&format!("captures do not wait for a report to a {kind}"), || {
        let mut program = Program::start_with(not_read(kind));
        let child = program.first_child();
        let pid = child.as_raw_nonzero().get().unsigned_abs();
        kill_process(child, Signal::USR2).expect("it lives");
        // A write to a full device fails at once.
        let is_held_up = kind != "full device";
        wait_until("the report has begun", || !is_held_up || is_writing(pid));
        for _ in 0..3 {
            let report = Report::parse(&program.ask("capture"));
            // On a busy machine, a section can take longer than it may.
            let failed = ["error", "panicked", "skipped"];
            let is_failed = |section: &Value| failed.contains(&text(&section["content"]["kind"]));
            assert!(!report.sections().iter().any(is_failed), "{kind}: {report}");
        }
        (!is_held_up || is_writing(pid)).then(|| found = Some((program, pid))).is_some()
    });
    found.expect("it has been found")
}

#[test]
fn whatever_standard_error_is_captures_do_not_wait_and_the_deadline_holds() {
    let kinds = ["pipe", "named pipe", "socket", "terminal", "terminal that is stopped", "full device"];
    // All at the same time: each report is given up only after seconds.
    let programs: Vec<_> = kinds.iter().map(|kind| (kind, capture_meanwhile(kind))).collect();
    for (kind, (mut program, pid)) in programs {
        wait_until(&format!("the report to a {kind} has been given up"), || !is_writing(pid));
        let report = Report::parse(&program.ask("capture"));
        let [note] = list(&report.heading()["notes"]) else { panic!("{kind}: {}", report.heading()) };
        let reason = if *kind == "full device" { "write failed" } else { "was not read for 5 s" };
        assert!(text(note).contains("report 1 lost") && text(note).contains(reason), "{kind}: {note}");
        assert!(program.end().0.success(), "{kind}");
    }
}

/// A write to a broken pipe sends the thread that writes a SIGPIPE.
#[test]
fn a_report_to_a_broken_pipe_requests_no_other_one() {
    let mut command = not_read("broken pipe");
    command.env("GMR_SIGNAL", "PIPE");
    let mut program = Program::start_with(command);
    kill_process(program.first_child(), Signal::PIPE).expect("it lives");
    let mut number = 0;
    wait_until("the report has been written to the pipe", || {
        let report = Report::parse(&program.ask("capture"));
        number = report.number();
        list(&report.heading()["notes"]).iter().any(|note| text(note).contains("Broken pipe"))
    });
    for next in number + 1..number + 6 {
        assert_eq!(Report::parse(&program.ask("capture")).number(), next, "no report but the captured ones");
    }
    assert!(program.end().0.success());
}

#[test]
fn a_slow_reader_holds_up_no_capture() {
    let (program, _) = capture_meanwhile("slow pipe");
    assert!(program.end().0.success(), "what is not written does not keep the program from its end");
}

/// The same program with a reader that works.
#[test]
fn a_reader_that_reads_gets_all_of_a_long_report() {
    let mut command = Command::new(program!("standard_error"));
    command.arg("as-it-is");
    let mut program = Program::start_with(command);
    for number in 1..=2 {
        let report = program.report();
        assert_eq!(report.number(), number);
        assert_eq!(list(&report.heading()["notes"]).len(), 0, "{}", report.heading());
        assert_eq!(text(report.data("Long", "text")).len(), 5 * (64 << 10));
    }
    assert!(program.end().0.success());
}
