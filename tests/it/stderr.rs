//! Standard error that is full, closed, or goes nowhere: the process carries on, and so does the reporter.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::program::{Program, program};

#[test]
fn a_closed_standard_error_harms_nobody() {
    let shell = format!("exec '{}' 2>&-", program!("storm"));
    let mut command = Command::new("sh");
    command.args(["-c", &shell]);
    let mut program = Program::start_with(command);
    for _ in 0..5 {
        program.signal(Signal::USR2);
        program.ask("work").parse::<u64>().expect("it answers");
    }
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "");
}

/// SIGPIPE at its default would end a process that writes to a pipe without a reader: a program may have set it so.
#[test]
fn a_reader_that_went_away_harms_nobody() {
    let shell = format!("trap - PIPE; exec '{}' 2> >(true)", program!("storm"));
    let mut command = Command::new("bash");
    command.args(["-c", &shell]).stdin(Stdio::piped());
    let mut program = Program::start_with(command);
    for _ in 0..5 {
        program.signal(Signal::USR2);
        program.ask("work").parse::<u64>().expect("it answers");
    }
    assert!(program.end().0.success());
}

/// Nobody reads the pipe, which holds less than a report. The rest of the first report is given up after five seconds, and the next one says so.
#[test]
fn a_full_pipe_costs_the_rest_of_one_report() {
    let mut program = Program::start(program!("stations"));
    program.signal(Signal::USR2);
    wait_for_the_reporter_to_give_up(program.pid());
    let mut text = String::new();
    program.signal(Signal::USR2);
    // From here on somebody reads: what the pipe held of the first report, then the whole second one.
    text.push_str(&program.next_report_text());
    let second = text.rfind("====                        Guru Meditation").expect("a second report");
    let second = text[..second].rfind(&"=".repeat(72)).expect("its first line");
    let report = crate::report::Report::parse(&text[second..]);
    assert_eq!(report.number(), 2);
    let note = &report.heading["note"];
    assert!(
        note.starts_with("report 1 lost its last ") && note.ends_with("nobody read it for 5 s"),
        "{note}"
    );
}

/// The reporter waits in `poll` while the pipe is full, and in `recv` when it has nothing to do; `/proc` tells which. There is no other way to see it from outside.
fn wait_for_the_reporter_to_give_up(pid: u32) {
    for place in ["poll", "unix_stream"] {
        while !reporter_sleeps_in(pid, place) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

fn reporter_sleeps_in(pid: u32, place: &str) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten().any(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let function = std::fs::read_to_string(task.path().join("wchan")).unwrap_or_default();
        name.trim() == "gmr" && function.contains(place)
    })
}
