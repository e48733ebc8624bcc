//! A child that was forked and did not become another program.

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Program, program};

#[test]
fn a_forked_child_can_be_asked_and_can_install_its_own() {
    let mut program = Program::start(program!("forked"));
    let answer = program.ask("who are you?");
    let (child, products) = answer.split_once(' ').unwrap();
    assert_eq!(
        products, "'' 'child' true",
        "without a reporter of its own it has made the first report itself"
    );
    let child = Pid::from_raw(child.parse().unwrap()).unwrap();
    assert_ne!(child.as_raw_nonzero().get().unsigned_abs(), program.pid());
    kill_process(child, Signal::USR2).unwrap();
    let report = program.next_report();
    assert!(report.section("Package").starts_with("product = child\n"), "{report:?}");
    assert_eq!(report.heading["pid"], child.as_raw_nonzero().get().to_string());
    // The parent is not confused by it.
    assert!(program.report().section("Package").starts_with("product = parent\n"));
    assert!(program.end().0.success());
}
