//! A child that was forked and did not become another program.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::program::{Program, program};

#[test]
fn a_forked_child_can_be_asked_and_can_install_its_own() {
    let mut program = Program::start(program!("forked"));
    let answer: Value = serde_json::from_str(&program.ask("who are you?")).expect("JSON");
    // Without a reporter of its own it has made the first report itself.
    assert_eq!(answer["before"], json!({"product": null, "main_is_shown": true}));
    assert_eq!(answer["after"]["product"], "child");
    let child = i32::try_from(answer["pid"].as_i64().expect("a number")).expect("a process id");
    assert_ne!(child.unsigned_abs(), program.pid());
    kill_process(Pid::from_raw(child).unwrap(), Signal::USR2).unwrap();
    let report = program.next_report();
    assert_eq!(report.package()["product"], "child");
    assert_eq!(report.heading()["pid"], child);
    // The parent is not confused by it.
    assert_eq!(program.report().package()["product"], "parent");
    assert!(program.end().0.success());
}
