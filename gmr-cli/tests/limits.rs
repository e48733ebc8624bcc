//! `gmr doctor` and what the system allows a process: what is used up is named, and what does not matter
//! to gmr is not.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use crate::doctor::{doctor, only_problem, problems};
use crate::service::{Done, Service, folder, gmr, list};

/// Lets it have only as much of this from now on.
fn limit(service: &Service, resource: Resource, current: u64) {
    let pid = Pid::from_raw(service.pid().cast_signed()).expect("an id");
    let maximum = getrlimit(resource).maximum;
    prlimit(Some(pid), resource, Rlimit { current: Some(current), maximum }).expect("it may be less");
}

fn facts(diagnosis: &Value, about: &str) -> Vec<String> {
    let checks = list(&diagnosis["checks"]).iter().filter(|check| check["about"] == about);
    checks.map(|check| format!("{}: {}", check["result"], check["fact"])).collect()
}

#[test]
fn what_is_used_up_is_named() {
    let service = Service::start();
    limit(&service, Resource::Sigpending, 0);
    assert!(only_problem(&doctor(service.pid()), "limits").contains("queue of signals"));
    let service = Service::start();
    limit(&service, Resource::As, 1 << 20);
    assert!(only_problem(&doctor(service.pid()), "limits").contains("address space"));
}

/// Runs the service as a user of its own. `None` if the tests do not run as root.
fn of_another_user(uid: &str) -> Option<Service> {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: it needs root");
        return None;
    }
    let mut command = Service::command(&["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"]);
    command.stderr(Stdio::null()).env("GMR_LOG_DIR", "/tmp");
    Service::start_with(command)
}

#[test]
fn a_user_who_may_have_no_more_threads_is_named_and_root_may() {
    const USER: &str = "61731";
    let root = Service::start();
    let Some(service) = of_another_user(USER) else { return };
    assert!(problems(&doctor(service.pid()), "limits").is_empty());
    limit(&root, Resource::Nproc, 2);
    assert!(problems(&doctor(root.pid()), "limits").is_empty());
    let mut less = Command::new("setpriv");
    less.args(["--reuid", USER, "--regid", USER, "--clear-groups", "prlimit", "--nproc=2", "--pid"]);
    assert!(less.arg(service.pid().to_string()).status().expect("it starts").success());
    assert!(only_problem(&doctor(service.pid()), "limits").contains("may have 2"));
}

/// A report is complete without them.
#[test]
fn no_descriptors_left_are_no_problem() {
    let service = Service::start();
    limit(&service, Resource::Nofile, 3);
    let diagnosis = doctor(service.pid());
    assert!(problems(&diagnosis, "limits").is_empty(), "{diagnosis}");
    let report = gmr(&["report", &service.pid().to_string()]).well();
    assert!(report.contains("Threads") && report.trim_end().ends_with("===="), "{report}");
}

#[test]
fn a_filter_of_system_calls_is_a_note() {
    let mut service = Service::start();
    service.tell("no files");
    let diagnosis = doctor(service.pid());
    let [filter] = &facts(&diagnosis, "seccomp")[..] else { panic!("{diagnosis}") };
    assert!(filter.starts_with("\"note\": ") && filter.contains("filtered"), "{filter}");
    assert!(service.lives());
}

#[test]
fn standard_error_that_goes_to_the_journal_is_good() {
    for is_journal in [true, false] {
        let (journal, errors) = UnixStream::pair().expect("sockets");
        let file = rustix::fs::fstat(&errors).expect("it is open");
        let inode = if is_journal { file.st_ino } else { file.st_ino + 1 };
        let mut command = Service::command(&[]);
        command.env("JOURNAL_STREAM", format!("{}:{inode}", file.st_dev));
        command.stderr(OwnedFd::from(errors));
        let service = Service::start_with(command).expect("it starts");
        let diagnosis = doctor(service.pid());
        let [fact] = &facts(&diagnosis, "standard error")[..] else { panic!("{diagnosis}") };
        assert_eq!(fact.starts_with("\"good\": ") && fact.contains("journalctl"), is_journal, "{fact}");
        assert!(problems(&diagnosis, "standard error").is_empty(), "{diagnosis}");
        drop(journal);
    }
}

#[test]
fn a_stripped_executable_is_named() {
    let folder = folder("limits");
    let this = std::env::current_exe().expect("a path");
    for (option, expected) in [("--strip-all", "is stripped"), ("--strip-debug", "no lines")] {
        let stripped = folder.join(&option[2..]);
        let mut strip = Command::new("strip");
        match strip.arg(option).arg("-o").arg(&stripped).arg(&this).status() {
            Ok(status) => assert!(status.success(), "{status:?}"),
            Err(error) => return eprintln!("skipped: no strip: {error}"),
        }
        let script = format!("exec '{}' \"$@\"", stripped.display());
        let mut command = Service::command(&["sh", "-c", &script]);
        command.stderr(File::create(folder.join("errors")).expect("a file"));
        let service = Service::start_with(command).expect("it starts");
        let problem = only_problem(&doctor(service.pid()), "debug information");
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn what_another_user_may_not_look_at_is_unknown_and_no_problem() {
    let Some(mut service) = of_another_user("65534") else { return };
    let uid = "65533";
    let mut command = Command::new("setpriv");
    command.args(["--reuid", uid, "--regid", uid, "--clear-groups", env!("CARGO_BIN_EXE_gmr"), "doctor"]);
    let done = command.args([&service.pid().to_string(), "--json"]).output().expect("it starts");
    let diagnosis: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(done.status.code(), Some(4), "only a part was looked at: {diagnosis}");
    for about in ["gmr", "standard error", "debug information"] {
        let facts = facts(&diagnosis, about);
        assert!(facts.len() == 1 && facts[0].starts_with("\"unknown\": "), "{about}: {facts:?}");
    }
    let Done { code, output, .. } = gmr(&["doctor", &service.pid().to_string()]);
    assert!(code == Some(0) && output.contains("it is installed"), "root may look: {output}");
    assert!(service.lives());
}
