//! `gmr doctor`: each planted obstacle is named with a remedy, a healthy process has none, and no
//! process notices that it is looked at.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::service::{Done, Service, file, folder, gmr, list};

/// What is found about this, if it is a problem.
pub(crate) fn problems<'a>(diagnosis: &'a Value, about: &str) -> Vec<&'a str> {
    let checks = list(&diagnosis["checks"]).iter();
    let checks = checks.filter(|check| check["result"] == "problem" && check["about"] == about);
    checks
        .inspect(|check| assert!(check["remedy"].is_string(), "{check}"))
        .filter_map(|it| it["fact"].as_str())
        .collect()
}

pub(crate) fn doctor(pid: u32) -> Value {
    let Done { code, output, errors } = gmr(&["doctor", &pid.to_string(), "--json"]);
    let diagnosis: Value =
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}{errors}"));
    let has_found = list(&diagnosis["checks"]).iter().any(|check| check["result"] == "problem");
    let is_partial = list(&diagnosis["checks"]).iter().any(|check| check["result"] == "unknown");
    let expected = if has_found {
        3
    } else if is_partial {
        4
    } else {
        0
    };
    assert_eq!(code, Some(expected), "{diagnosis}");
    diagnosis
}

/// The one problem that a process has.
#[track_caller]
pub(crate) fn only_problem(diagnosis: &Value, about: &str) -> String {
    let all = list(&diagnosis["checks"]).iter().filter(|check| check["result"] == "problem").count();
    let [problem] = problems(diagnosis, about)[..] else { panic!("{diagnosis}") };
    assert_eq!(all, 1, "{diagnosis}");
    problem.to_owned()
}

#[test]
fn a_healthy_process_has_no_problem_and_notices_nothing() {
    let mut service = Service::start();
    let diagnosis = doctor(service.pid());
    let results: Vec<_> =
        list(&diagnosis["checks"]).iter().map(|check| [&check["about"], &check["result"]]).collect();
    for about in ["state", "gmr", "signal", "reporter", "standard error", "debug information"] {
        assert!(results.contains(&[&about.into(), &"good".into()]), "{about}: {diagnosis}");
    }
    assert_eq!([&diagnosis["service"], &diagnosis["version"]], ["shop", "1.0"]);
    let text = gmr(&["doctor", &service.pid().to_string()]).well();
    assert!(text.starts_with(&format!("process {}: shop 1.0, gmr ", service.pid())), "{text}");
    let report: Value = serde_json::from_str(&service.report()).expect("JSON");
    assert_eq!([&report["heading"]["number"], &report["heading"]["trigger"]["coalesced"]], [1, 0]);
}

#[test]
fn a_process_can_be_named() {
    // Other tests have services of the usual name.
    let name = format!("shop-{}", std::process::id());
    let mut command = Service::command(&[]);
    command.env("SHOP_NAME", &name).stderr(Stdio::piped());
    let service = Service::start_with(command).expect("it starts");
    let text = gmr(&["doctor", &name]).well();
    assert!(text.starts_with(&format!("process {}: {name} ", service.pid())), "{text}");
    let errors = gmr(&["doctor", "no-such-service"]).failed(1);
    assert!(errors.contains("`no-such-service`") && errors.contains("gmr list"), "{errors}");
}

#[test]
fn what_the_process_does_not_do_is_named() {
    let mut service = Service::start();
    service.signal(Signal::STOP);
    let stopped =
        || fs::read_to_string(format!("/proc/{}/stat", service.pid())).expect("it lives").contains(") T ");
    while !stopped() {
        std::thread::yield_now();
    }
    assert!(only_problem(&doctor(service.pid()), "state").contains("stopped"));
    // A signal that waits meanwhile.
    service.signal(Signal::USR2);
    let diagnosis = doctor(service.pid());
    assert!(
        problems(&diagnosis, "signal").iter().any(|fact| fact.contains("no thread has taken it")),
        "{diagnosis}"
    );
    service.signal(Signal::CONT);
    let report: Value = serde_json::from_str(&service.report()).expect("JSON");
    assert_eq!(report["heading"]["number"], 1);
    service.tell("uninstall");
    assert!(only_problem(&doctor(service.pid()), "gmr").contains("no mark"));
}

#[test]
fn a_process_without_gmr_and_one_that_has_ended_are_told_apart() {
    let mut other = Command::new("sleep").arg("600").stderr(Stdio::piped()).spawn().expect("it starts");
    let diagnosis = doctor(other.id());
    let lives = other.try_wait().expect("its state").is_none();
    other.kill().expect("it lives");
    let is_zombie =
        || fs::read_to_string(format!("/proc/{}/stat", other.id())).expect("it is there").contains(") Z ");
    while !is_zombie() {
        std::thread::yield_now();
    }
    let ended = doctor(other.id());
    other.wait().expect("it ends");
    assert!(lives && problems(&diagnosis, "gmr")[0].contains("no mark"), "{diagnosis}");
    assert!(problems(&diagnosis, "signal").is_empty(), "{diagnosis}");
    assert!(only_problem(&ended, "state").contains("has ended"));
    let errors = gmr(&["doctor", &other.id().to_string()]).failed(1);
    assert!(errors.contains("there is no process"), "{errors}");
}

/// The problem of a service with this as its standard error.
fn with_errors(command: Command) -> String {
    let service = Service::start_with(command).expect("it starts");
    only_problem(&doctor(service.pid()), "standard error")
}

#[test]
fn a_standard_error_that_nobody_gets_is_named() {
    let folder = folder("doctor");
    let mut command = Service::command(&[]);
    command.stderr(Stdio::null());
    assert!(with_errors(command).contains("/dev/null"));
    // std opens it in place of a descriptor that is closed.
    assert!(with_errors(Service::command(&["sh", "-c", "exec \"$0\" \"$@\" 2>&-"])).contains("/dev/null"));
    // Nobody has the other end.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Service::command(&[]);
    command.stderr(writer);
    assert!(with_errors(command).contains("nobody can read"));
    // It is full.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let full = writer.try_clone().expect("a copy");
    rustix::io::ioctl_fionbio(&full, true).expect("not blocking");
    while rustix::io::write(&full, &[b'x'; 4096]).is_ok() {}
    while rustix::io::write(&full, b"x").is_ok() {}
    let mut command = Service::command(&[]);
    command.stderr(writer);
    assert!(with_errors(command).contains("full"));
    drop(reader);
    // Its file has been deleted.
    let path = file(&folder, "log", "");
    let mut command = Service::command(&[]);
    command.stderr(File::create(&path).expect("a file"));
    let service = Service::start_with(command).expect("it starts");
    assert_eq!(
        doctor(service.pid())["checks"]
            .as_array()
            .map(|checks| checks.iter().filter(|it| it["result"] == "problem").count()),
        Some(0)
    );
    fs::remove_file(&path).expect("it is there");
    assert!(only_problem(&doctor(service.pid()), "standard error").contains("deleted"));
    // It does not matter where there is a directory, or the journal.
    let lost = |variable: &str, value: &OsStr| {
        let mut command = Service::command(&[]);
        command.stderr(Stdio::null()).env(variable, value);
        let service = Service::start_with(command).expect("it starts");
        doctor(service.pid())
    };
    for (variable, value) in [("GMR_LOG_DIR", folder.as_os_str()), ("GMR_LOG_JOURNAL", "on".as_ref())] {
        let diagnosis = lost(variable, value);
        assert!(problems(&diagnosis, "standard error").is_empty(), "{diagnosis}");
        assert!(diagnosis.to_string().contains(&format!("{variable} has reports written")), "{diagnosis}");
    }
    for variable in ["GMR_LOG_DIR", "GMR_LOG_JOURNAL"] {
        assert!(only_problem(&lost(variable, "off".as_ref()), "standard error").contains("/dev/null"));
    }
}
