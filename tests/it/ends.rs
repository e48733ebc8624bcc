//! What is near an end, and peers that do not answer, are found; healthy programs that look alike
//! are not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::Value;

use crate::program::{Program, program};
use crate::report::{Report, list, text};

/// The codes of the rules that these programs are about.
const RULES: [&str; 6] = [
    "limit.descriptors",
    "limit.user-threads",
    "limit.address-space",
    "limit.disk",
    "socket.backlog",
    "peer.waits",
];

fn start(arguments: &[&str]) -> Program {
    let mut command = Command::new(program!("ends"));
    command.args(arguments);
    Program::start_with(command)
}

fn found(report: &Report) -> Vec<&Value> {
    let is_of_these = |finding: &&Value| RULES.contains(&text(&finding["code"]));
    report.findings().iter().filter(is_of_these).collect()
}

/// The program, to be started as another user if this is root, to whom some limits do not apply.
fn without_rights(mode: &str) -> Program {
    /// No user's own number.
    const NOBODY: u32 = 65_534;
    let folder = std::env::temp_dir().join(format!("gmr-ends-{mode}-{}", std::process::id()));
    let copy = folder.join("ends");
    fs::create_dir(&folder).expect("there is space");
    fs::copy(program!("ends"), &copy).expect("there is space");
    let mut command = Command::new(&copy);
    command.arg(mode).current_dir("/");
    if rustix::process::geteuid().is_root() {
        for path in [&folder, &copy] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let program = Program::start_with(command);
    fs::remove_dir_all(&folder).expect("it is ours");
    program
}

#[test]
fn threads_that_run_out_are_found() {
    let mut program = without_rights("threads-near");
    let report = program.report();
    let [finding] = found(&report)[..] else { panic!("{report}") };
    let said = (text(&finding["code"]), text(&finding["severity"]), text(&finding["certainty"]));
    assert_eq!(said, ("limit.user-threads", "info", "certain"), "{finding}");
    assert!(text(&finding["message"]).contains("112 together"), "{finding}");
    let report = without_rights("threads-few").report();
    assert_eq!(found(&report), Vec::<&Value>::new(), "{report}");
    // There is no limit for root.
    if rustix::process::geteuid().is_root() {
        nothing(&["threads-near"]);
    }
}

/// Starts the program in this mode, and returns the one finding that it is to have.
fn only(arguments: &[&str], code: &str, severity: &str) -> (Report, Value) {
    let mut program = start(arguments);
    let report = program.report();
    let found: Vec<Value> = found(&report).into_iter().cloned().collect();
    let [finding] = &found[..] else { panic!("{arguments:?}: {found:?}\n{report}") };
    assert_eq!((text(&finding["code"]), text(&finding["severity"])), (code, severity), "{finding}");
    assert_eq!(finding["certainty"], "certain", "{finding}");
    assert!(program.end().0.success());
    let finding = finding.clone();
    (report, finding)
}

fn nothing(arguments: &[&str]) {
    let mut program = start(arguments);
    for _ in 0..3 {
        let report = program.report();
        assert_eq!(found(&report), Vec::<&Value>::new(), "{arguments:?}\n{report}");
    }
    assert!(program.end().0.success());
}

#[test]
fn descriptors_that_run_out_are_found() {
    let (report, _) = only(&["descriptors-all"], "limit.descriptors", "error");
    let descriptors = report.data("Descriptors", "descriptors");
    assert_eq!((&descriptors["open"], &descriptors["limit"]), (&256.into(), &256.into()));
    assert_eq!(descriptors["highest"], 255);
    only(&["descriptors-near"], "limit.descriptors", "warning");
    nothing(&["descriptors-few"]);
    nothing(&["descriptors-lowered"]);
}

#[test]
fn addresses_that_run_out_are_found() {
    only(&["addresses-near"], "limit.address-space", "warning");
    nothing(&["addresses-few"]);
}

/// Whether the kernel says how many connections may wait.
fn has_backlogs() -> bool {
    let mut program = start(&["backlog-space"]);
    let report = program.report();
    let sockets = list(&report.data("Descriptors", "descriptors")["sockets"]);
    sockets.iter().any(|group| group["state"] == "listening" && group["accept_queue_max"] == 16)
}

#[test]
fn a_queue_of_connections_that_is_full_is_found() {
    nothing(&["backlog-space"]);
    if !has_backlogs() {
        return eprintln!("skipped: the kernel does not list sockets on request");
    }
    let (report, finding) = only(&["backlog-full"], "socket.backlog", "error");
    let sockets = list(&report.data("Descriptors", "descriptors")["sockets"]);
    let listener = sockets.iter().find(|group| group["state"] == "listening").expect("it listens");
    assert_eq!((&listener["accept_queue"], &listener["accept_queue_max"]), (&17.into(), &16.into()));
    assert!(text(&finding["message"]).contains(text(&listener["local"])), "{finding}");
}

#[test]
fn a_peer_that_several_threads_wait_for_is_found() {
    let (report, finding) = only(&["peer"], "peer.waits", "info");
    let threads = report.threads();
    let names = list(&finding["threads"]).iter().map(|tid| {
        let thread = threads.iter().find(|thread| *tid == thread.tid());
        thread.expect("it is listed").name().to_owned()
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["client 0", "client 1", "client 2", "client 3", "client 4"]);
    let waiting = report.thread("client 0").waiting();
    let peer =
        text(&waiting["target"]).split_once(" -> ").and_then(|(_, peer)| peer.split_once(',')).unwrap().0;
    assert!(text(&finding["message"]).contains(peer), "{finding}");
    nothing(&["peers"]);
}

/// A file system of a megabyte, in a namespace of its own.
fn on_small_disk(mode: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=1m none /mnt && exec \"$0\" \"$1\" /mnt";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, program!("ends"), mode]);
    command
}

#[test]
fn a_full_disk_is_found() {
    let mut program = match Program::try_start(on_small_disk("disk-full")) {
        Ok(program) => program,
        Err(said) => return eprintln!("skipped: there is no namespace with a mount of its own: {said}"),
    };
    let report = program.report();
    let files = list(&report.data("Descriptors", "descriptors")["files"]);
    if files.iter().all(|file| file["disk_bytes"].is_null()) {
        return eprintln!("skipped: system calls are filtered here");
    }
    let [finding] = found(&report)[..] else { panic!("{report}") };
    assert_eq!((text(&finding["code"]), text(&finding["severity"])), ("limit.disk", "warning"), "{finding}");
    assert!(text(&finding["message"]).contains("/mnt/full.log"), "{finding}");
    assert!(program.end().0.success());
    let mut program = Program::start_with(on_small_disk("disk-space"));
    let report = program.report();
    assert_eq!(found(&report), Vec::<&Value>::new(), "{report}");
    assert!(program.end().0.success());
}
