//! The mark of a process with gmr, in its address map. The command `gmr` finds processes by it, so
//! a process without a reporter must not have one.

use std::fs;
use std::process::Command;

use crate::builds::program_of;
use crate::program::{Program, program};

/// The marks of a process, without their beginning.
pub(crate) fn marks(pid: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let mark = |line: &str| Some(line.split_once("/memfd:gmr-mark:")?.1.to_owned());
    maps.lines().filter_map(mark).collect()
}

/// The mark of a program that is its only one.
fn of(path: impl AsRef<std::ffi::OsStr>, signal: Option<&str>) -> String {
    let mut command = Command::new(path);
    command.envs(signal.map(|signal| ("GMR_SIGNAL", signal)));
    let program = Program::start_with(command);
    let marks = marks(program.pid());
    let descriptors = fs::read_dir(format!("/proc/{}/fd", program.pid())).expect("it lives");
    for descriptor in descriptors {
        let to = fs::read_link(descriptor.expect("an entry").path()).unwrap_or_default();
        assert!(!to.to_string_lossy().contains("memfd"), "{} is open", to.display());
    }
    assert_eq!(marks.len(), 1, "{marks:?}");
    marks[0].clone()
}

#[test]
fn a_process_with_gmr_has_one_mark_that_says_what_it_is() {
    let version = env!("CARGO_PKG_VERSION");
    let said = |signal: u32| {
        let attach = if signal == 0 { "" } else { "attach=2 " };
        format!("1 signal={signal} gmr={version} schema=1.3 {attach}version=")
    };
    for (chosen, signal) in [(None, 12), (Some("USR1"), 10), (Some("none"), 0)] {
        let mark = of(program!("crossroads"), chosen);
        assert!(mark.starts_with(&said(signal)) && mark.ends_with(" (deleted)"), "{mark}");
        assert!(mark.contains(&format!(" version={version} service=gmr-tests")), "{mark}");
    }
    if let Some(path) = program_of("musl", "crossroads") {
        let mark = of(path, None);
        assert!(mark.starts_with(&said(12)), "{mark}");
    }
}
