//! A thousand signals in a tight loop.

use rustix::process::Signal;

use crate::program::{Program, program};

#[test]
fn the_process_lives_and_no_report_is_broken() {
    let mut program = Program::start(program!("storm"));
    for _ in 0..1000 {
        program.signal(Signal::USR2);
    }
    let mut last = program.next_report();
    assert_eq!(last.number(), 1);
    // The threads work on.
    let work = |program: &mut Program| program.ask("work").parse::<u64>().expect("a number");
    let before = work(&mut program);
    while work(&mut program) == before {}
    let (status, rest) = program.end();
    assert!(status.success(), "{status}");
    // Each of the rest parses as one whole report; the one that was under way when the program ended is cut off by that.
    let mut texts = Vec::new();
    let mut text = String::new();
    for line in rest.split_inclusive('\n') {
        text.push_str(line);
        if crate::report::Report::is_last_line(line.trim_end()) {
            texts.push(std::mem::take(&mut text));
        }
    }
    assert!(texts.len() < 1000, "they coalesce");
    for text in &texts {
        let report = crate::report::Report::parse(text);
        assert_eq!(report.number(), last.number() + 1);
        assert_eq!(report.titles().last(), Some(&"Work"));
        last = report;
    }
}
