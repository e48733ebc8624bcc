//! A process without a free descriptor gets a complete report, and all its files stay open.

use std::process::Command;

use crate::program::{Program, program};
use crate::report::{Report, list, text};

#[test]
fn a_process_that_has_leaked_its_descriptors_gets_a_whole_report() {
    let shell = format!("ulimit -n 64; exec '{}'", program!("exhausted"));
    let mut command = Command::new("sh");
    command.args(["-c", &shell]);
    let mut program = Program::start_with(command);
    for _ in 0..2 {
        let report = program.report_when("all names and stacks", Report::is_complete);
        assert_eq!(report.sections().len(), 5, "{report}");
        let stack = report.thread("exhausted").stack();
        let main = stack.expect("exhausted::main");
        assert!(main.file().ends_with("tests/programs/exhausted.rs"), "{stack}");
        assert!(!text(&report.package()["rustc"]).is_empty(), "{report}");
        let process = &list(&report.data("Processes", "processes")["processes"])[0];
        assert!(!list(&process["command"]).is_empty(), "{process}");
        let answer = program.ask("are they open?");
        let (open, all) = answer.split_once(" of ").unwrap();
        assert_eq!(open, all);
        assert!(all.parse::<u32>().unwrap() > 40);
    }
    assert!(program.end().0.success());
}
