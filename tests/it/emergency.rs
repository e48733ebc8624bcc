//! Processes in which nothing can be allocated: a report comes in a raw form, and the process
//! lives.

use std::process::Command;

use object::{Object, ObjectSymbol};
use rustix::process::Signal;

use crate::program::{Program, program};
use crate::report::Report;

/// What the program writes next: a report in JSON, or the lines of one in raw form.
enum Next {
    Report(Report),
    Emergency(Vec<String>),
}

fn next(program: &mut Program) -> Next {
    let mut lines = Vec::new();
    loop {
        let line = program.next_error_line();
        assert!(!line.is_empty(), "standard error was closed after {lines:#?}");
        if line.starts_with('{') {
            assert_eq!(lines, Vec::<String>::new(), "one after the other");
            return Next::Report(Report::parse(&line));
        }
        let is_last = line.starts_with("==== end of emergency report ");
        lines.push(line.trim_end().to_owned());
        if is_last {
            return Next::Emergency(lines);
        }
    }
}

fn report(program: &mut Program) -> Report {
    match next(program) {
        Next::Report(report) => report,
        Next::Emergency(lines) => panic!("an emergency: {lines:#?}"),
    }
}

/// The addresses in a module that the lines of a thread have.
fn addresses(lines: &[String], thread: &str, module: &str) -> Vec<u64> {
    let begins = |line: &&String| line.contains(&format!("\"{thread}\""));
    let of_thread = lines.iter().skip_while(|line| !begins(line)).skip(1);
    let of_thread = of_thread.take_while(|line| line.starts_with("  "));
    let address =
        |line: &String| u64::from_str_radix(line.trim().strip_prefix(module)?.strip_prefix("+0x")?, 16).ok();
    of_thread.filter_map(address).collect()
}

/// The function of a program, by its symbol table.
fn function(path: &str, address: u64) -> Option<String> {
    let data = std::fs::read(path).expect("the program can be read");
    let file = object::File::parse(&*data).expect("it is an object file");
    let covers = |start: u64, size: u64| (start..start + size).contains(&address);
    let found = file.symbols().find(|symbol| covers(symbol.address(), symbol.size()));
    found.and_then(|symbol| symbol.name().ok().map(str::to_owned))
}

#[test]
fn a_locked_allocator_gets_a_raw_report_with_the_thread_that_holds_it() {
    let path = program!("wedged");
    let mut program = Program::start(path);
    assert_eq!(report_on_signal(&mut program).number(), 1);
    assert_eq!(program.ask("hold the allocator"), "holding");
    program.signal(Signal::USR2);
    let Next::Emergency(lines) = next(&mut program) else { panic!("nothing can be allocated") };
    assert!(lines.iter().any(|line| line == "product = wedged"), "{lines:#?}");
    let found = addresses(&lines, "wedged", "wedged");
    let functions: Vec<String> = found.iter().filter_map(|address| function(path, address - 1)).collect();
    assert!(functions.iter().any(|name| name.contains("hold_the_allocator")), "{functions:#?} {lines:#?}");
    // Known to be stuck, it is answered sooner, and again.
    program.signal(Signal::USR2);
    assert!(matches!(next(&mut program), Next::Emergency(_)));
    // Afterwards everything is as before.
    assert_eq!(program.ask("go on"), "released by 1");
    // The reporter goes on where it was: with both signals. If it had no CPU time to begin with the
    // first one, one report answers both.
    let mut last = report(&mut program);
    assert_eq!(last.number(), 4);
    if last.trigger()["coalesced"] == 0 {
        last = report(&mut program);
    }
    assert_eq!(report_on_signal(&mut program).number(), last.number() + 1);
    assert!(program.end().0.success());
}

fn report_on_signal(program: &mut Program) -> Report {
    program.signal(Signal::USR2);
    report(program)
}

/// Whether the report is whole. The program must live in any case.
fn is_whole_with(kibibytes: u64) -> bool {
    let mut command = Command::new(program!("limited"));
    command.arg(kibibytes.to_string());
    let mut program = Program::start_with(command);
    program.signal(Signal::USR2);
    let is_whole = match next(&mut program) {
        Next::Report(report) => report.failed() == 0,
        Next::Emergency(lines) => {
            assert!(lines.iter().any(|line| line.contains("\"limited\"")), "{kibibytes} KiB: {lines:#?}");
            false
        }
    };
    let captured = program.ask("capture");
    assert_eq!(captured == "whole", is_whole, "{kibibytes} KiB: {captured}");
    assert_eq!(program.ask("still there?"), "still there?", "{kibibytes} KiB");
    assert!(program.end().0.success(), "{kibibytes} KiB");
    is_whole
}

#[test]
fn no_shortage_of_address_space_aborts_the_process() {
    // `GMR_STEP_KIB=4` for each page.
    let step = std::env::var("GMR_STEP_KIB").ok().and_then(|step| step.parse().ok()).unwrap_or(128);
    for left in (0..4 << 10).step_by(step) {
        assert!(!is_whole_with(left), "{left} KiB are not enough");
    }
    for left in (4..=300).step_by(37) {
        is_whole_with(left << 10);
    }
    assert!(is_whole_with(2 << 20), "2 GiB are enough");
}
