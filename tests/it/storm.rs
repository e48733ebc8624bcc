//! A thousand signals in a tight loop, while the program's threads work.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::program::{Program, program, wait_until};
use crate::report::Report;
use crate::text::{Text, ends_report};

const SIGNALS: usize = 1000;

/// The program after the storm, and what is left to read on its standard error at its end: the
/// report that was under way then is cut off.
fn after_storm(format: &str, read: impl FnOnce(&mut Program)) -> String {
    let mut command = Command::new(program!("storm"));
    command.env("GMR_FORMAT", format);
    let mut program = Program::start_with(command);
    for _ in 0..SIGNALS {
        program.signal(Signal::USR2);
    }
    read(&mut program);
    // The threads keep working.
    let work = |program: &mut Program| program.ask("work").parse::<u64>().expect("a number");
    let before = work(&mut program);
    wait_until("the threads work on", || work(&mut program) != before);
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    rest
}

#[test]
fn the_process_lives_and_no_report_is_lost() {
    let mut last = None;
    let rest = after_storm("json", |program| last = Some(program.next_report()));
    let mut last = last.expect("a report");
    assert_eq!(last.number(), 1);
    let lines: Vec<&str> = rest.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
    assert!(lines.len() < SIGNALS, "they coalesce");
    for line in lines {
        let report = Report::parse(line);
        assert_eq!(report.number(), last.number() + 1);
        assert_eq!(report.titles().last(), Some(&"Work"));
        last = report;
    }
}

/// Text is written section by section, while other threads write, too.
#[test]
fn no_report_in_text_is_interleaved() {
    let mut last = None;
    let rest = after_storm("text", |program| last = Some(Text::parse(&Text::read(program))));
    let mut last = last.expect("a report").number();
    assert_eq!(last, 1);
    let (mut texts, mut text, mut before) = (Vec::new(), String::new(), "");
    for line in rest.split_inclusive('\n') {
        text.push_str(line);
        if line.ends_with('\n') && ends_report(before, line.trim_end()) {
            texts.push(std::mem::take(&mut text));
        }
        before = line.trim_end();
    }
    assert!(texts.len() < SIGNALS, "they coalesce");
    for text in &texts {
        let report = Text::parse(text);
        assert_eq!(report.number(), last + 1);
        assert_eq!(report.titles().last(), Some(&"Work"));
        last = report.number();
    }
}

/// Five minutes would end the test.
#[test]
fn signals_wait_for_the_least_time_between_reports() {
    let mut command = Command::new(program!("storm"));
    command.env("GMR_MIN_INTERVAL", "5m");
    let mut program = Program::start_with(command);
    assert_eq!(program.report().number(), 1);
    program.signal(Signal::USR2);
    program.ask("work");
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status} {rest}");
}

#[test]
fn a_second_passes_between_reports_by_default() {
    let mut command = Command::new(program!("storm"));
    command.env("GMR_MIN_INTERVAL", "");
    let mut program = Program::start_with(command);
    // The first report begins later.
    let start = Instant::now();
    assert_eq!(program.report().number(), 1);
    for _ in 0..5 {
        program.signal(Signal::USR2);
    }
    let second = program.next_report();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(second.number(), 2);
    assert!(program.end().0.success());
}
