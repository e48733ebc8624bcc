//! Standard error that is full, closed, or goes nowhere: the process keeps running, and so does the
//! reporter.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::program::{Program, program, wait_until};
use crate::report::{Report, list, text};
use crate::text::{Text, has_names};

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
    program.signal(Signal::USR2);
    wait_for_the_reporter_to_give_up(program.pid());
    program.signal(Signal::USR2);
}

#[test]
fn a_full_pipe_costs_the_rest_of_one_report_in_text() {
    let mut command = Command::new(program!("stations"));
    command.env("GMR_FORMAT", "text");
    let mut program = Program::start_with(command);
    // With all names, a report is longer than the pipe's capacity.
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
    // The next report may follow the written part of the previous one, on the same line.
    let mut line = program.next_error_line();
    let next = line.rfind(START).filter(|next| *next > 0);
    let next = next.map_or_else(|| program.next_error_line(), |next| line.split_off(next));
    assert!(line.starts_with(START), "the first of the two has begun: {line}");
    let report = Report::parse(&next);
    assert_eq!(report.number(), number + 2);
    let [note] = list(&report.heading()["notes"]) else { panic!("one note: {}", report.heading()) };
    let (lost, note) = (format!("report {}", number + 1), text(note));
    assert!(note.contains(&lost) && note.contains(" bytes"), "which report, and how much: {note}");
}

const START: &str = "{\"schema_version\"";

/// The capacity of a pipe, by Linux's default.
const PIPE: usize = 64 << 10;

/// While the pipe is full, the reporter sleeps in `poll`, and elsewhere when it has nothing to do.
/// Only `/proc` shows which from outside.
fn wait_for_the_reporter_to_give_up(pid: u32) {
    wait_until("the pipe is full", || reporter_sleeps(pid, |place| place.contains("poll")));
    wait_until("the reporter has given up", || {
        reporter_sleeps(pid, |place| !["", "0"].contains(&place) && !place.contains("poll"))
    });
}

fn reporter_sleeps(pid: u32, place: impl Fn(&str) -> bool) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten().any(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let function = std::fs::read_to_string(task.path().join("wchan")).unwrap_or_default();
        name.trim() == "gmr" && place(function.trim())
    })
}
