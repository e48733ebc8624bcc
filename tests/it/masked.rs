//! Names that the program and its operator call secret or not, in a real process.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::program::{Program, program};
use crate::report::Report;

fn start(names: &str) -> Program {
    let mut command = Command::new(program!("masked"));
    command.env("GMR_MASK", names);
    Program::start_with(command)
}

/// The configuration.
fn values(report: &Report) -> &Value {
    &report.group("Shop")["data"]
}

fn shown(report: &Report) -> (&Value, &Value) {
    (values(report), report.data("Last Order", "text"))
}

#[test]
fn what_the_program_says_of_names_counts() {
    let report = Program::start(program!("masked")).report();
    let group = json!({
        "internal_code": "***", "session_color": "plum", "shelf_mark": "plum", "till_pin": "***",
        "town": "plum",
    });
    assert_eq!(shown(&report), (&group, &json!("shelf_mark=plum till_pin=*** town=plum")));
}

#[test]
fn what_its_operator_says_is_added_and_overrides_it() {
    let report = start("shelf_mark, -till_pin,session_color,-internal_code").report();
    let group = json!({
        "internal_code": "plum", "session_color": "***", "shelf_mark": "***", "till_pin": "plum",
        "town": "plum",
    });
    assert_eq!(shown(&report), (&group, &json!("shelf_mark=*** till_pin=plum town=plum")));
}

#[test]
fn of_a_name_without_letters_the_operator_is_warned() {
    let mut program = start("12,town,-");
    let line = program.next_error_line();
    assert!(line.starts_with("gmr: warning: GMR_MASK") && line.contains("`12`, ``"), "{line}");
    let report = program.report();
    assert_eq!(values(&report)["town"], "***");
    assert_eq!(values(&report)["internal_code"], "***");
}

/// Whoever starts a program with more rights than their own must not see its secrets. The test
/// needs the rights to make such a program, and a file system that allows it.
#[test]
fn a_program_with_more_rights_than_its_caller_ignores_its_environment() {
    /// No user's own number.
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can start a program as another user");
    }
    let folder = std::env::temp_dir().join(format!("gmr-masked-{}", std::process::id()));
    let copy = folder.join("masked");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(program!("masked"), &copy).unwrap();
    let start = |mode| {
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = Command::new(&copy);
        command.env("GMR_MASK", "-till_pin").uid(NOBODY).gid(NOBODY).current_dir("/");
        Program::start_with(command)
    };
    let (mut ordinary, mut privileged) = (start(0o755), start(0o4755));
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(ordinary.ask("privileged?"), "false");
    assert_eq!(values(&ordinary.report())["till_pin"], "plum");
    if privileged.ask("privileged?") != "true" {
        return eprintln!("skipped: the file system ignores the set-user-ID bit");
    }
    assert_eq!(values(&privileged.report())["till_pin"], "***");
}
