//! A process without a free descriptor: it gets a whole report, and loses none of its files by it.

use std::process::Command;

use crate::program::{Program, program};

#[test]
fn a_process_that_has_leaked_its_descriptors_gets_a_whole_report() {
    let shell = format!("ulimit -n 64; exec '{}'", program!("exhausted"));
    let mut command = Command::new("sh");
    command.args(["-c", &shell]);
    let mut program = Program::start_with(command);
    for _ in 0..2 {
        let report = program.report();
        assert!(report.summary.contains(" 5 sections, "), "{}", report.summary);
        assert!(report.thread("exhausted").body.contains("exhausted::main"), "{report:?}");
        assert!(report.thread("exhausted").body.contains("tests/programs/exhausted.rs:"), "{report:?}");
        assert!(report.section("Package").contains("\nrustc = "), "{report:?}");
        assert!(report.section("Processes").contains("command = "), "{report:?}");
        let answer = program.ask("are they open?");
        let (open, all) = answer.split_once(" of ").unwrap();
        assert_eq!(open, all);
        assert!(all.parse::<u32>().unwrap() > 40);
    }
    assert!(program.end().0.success());
}
