//! `gmr report` to a process that becomes another program meanwhile: that one is sent nothing, whether
//! it has a handler for the signal or would be ended by it.

use std::fs;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::service::{Service, gmr_command};

const DEADLINE: Duration = Duration::from_secs(60);

fn start_report(service: &Service) -> Child {
    let mut command = gmr_command(&["report", &service.pid().to_string(), "--format", "json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// Waits for the end of a command that has failed, and returns what it says.
fn failed(command: Child) -> String {
    let Output { status, stdout, stderr } = command.wait_with_output().expect("it ends");
    let errors = String::from_utf8(stderr).expect("text");
    assert!(status.code() == Some(1) && stdout.is_empty(), "{errors}");
    errors
}

#[test]
fn a_program_without_a_handler_lives() {
    let mut command = Service::command(&[]);
    command.env("SHOP_SLOW", "1").stderr(Stdio::null());
    let mut service = Service::start_with(command).expect("it starts");
    service.tell("late");
    let command = start_report(&service);
    // It makes the report now.
    let is_asked = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", service.pid())).expect("it lives").flatten();
        let mut names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.any(|name| name.trim_end() == "gmr attach")
    };
    let started = Instant::now();
    while !is_asked() {
        assert!(started.elapsed() < DEADLINE, "it is not asked");
        std::thread::yield_now();
    }
    service.tell("become");
    let errors = failed(command);
    // It has the file, or is still looking for it.
    assert!(errors.contains("the report is not whole") || errors.contains("no mark of gmr"), "{errors}");
    // It says so before it does it.
    let name = || fs::read_to_string(format!("/proc/{}/comm", service.pid())).expect("it lives");
    let started = Instant::now();
    while name().trim_end() != "sleep" {
        assert!(started.elapsed() < DEADLINE, "it is {}", name());
        std::thread::yield_now();
    }
    assert!(service.lives());
}

#[test]
fn a_program_with_a_handler_of_its_own_is_sent_nothing() {
    let mut service = Service::start();
    // The command finds no file, and asks again after a second.
    service.tell("no files");
    let command = start_report(&service);
    assert!(service.error_line().contains("could not make a memory file"));
    service.tell("become trapping");
    assert_eq!(service.line(), "trapped");
    let errors = failed(command);
    assert!(errors.contains("no mark of gmr"), "{errors}");
    service.write("fine");
    assert_eq!(service.line(), "fine");
    assert!(service.lives());
}
