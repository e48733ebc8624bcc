//! Where standard error of a process goes, which is where its reports go unless it has a directory
//! for them. A pipe is opened for writing, and nothing is written: that tells whether it has a
//! reader and space. Nothing else is opened.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::check::{Check, Result};
use crate::processes::Process;

const ABOUT: &str = "standard error";

pub(super) fn check(process: Process) -> Check {
    // As it was when the process was started: the program may have changed it since.
    let environment = process.read("environ").unwrap_or_default();
    let variable = |name: &str| {
        let value = |entry: &str| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        environment.split('\0').find_map(value).filter(|value| !value.is_empty())
    };
    let check = destination(process, variable("JOURNAL_STREAM").as_deref());
    let is_on = |value: &String| ["1", "on", "true", "yes"].contains(&value.to_ascii_lowercase().trim());
    let directory = variable("GMR_LOG_DIR").filter(|directory| directory != "off");
    let elsewhere =
        directory.map(|directory| format!("GMR_LOG_DIR has reports written to {directory}")).or_else(|| {
            variable("GMR_LOG_JOURNAL")
                .filter(is_on)
                .map(|_| "GMR_LOG_JOURNAL has reports written to the journal".to_owned())
        });
    match elsewhere {
        Some(elsewhere) if check.result == Result::Problem => {
            Check::note(ABOUT, format!("{}; {elsewhere}", check.fact))
        }
        _ => check,
    }
}

fn destination(process: Process, journal: Option<&str>) -> Check {
    const ELSEWHERE: &str = "redirect it, or have reports written to a directory: GMR_LOG_DIR=/var/log/shop";
    let target = match process.link("fd/2") {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Check::problem(ABOUT, "descriptor 2 is closed", ELSEWHERE);
        }
        Err(error) => return Check::unknown(ABOUT, &error),
    };
    if target == "/dev/null" {
        return Check::problem(ABOUT, "it is /dev/null: reports are lost", ELSEWHERE);
    }
    if target.starts_with("pipe:") {
        return pipe(process, &target);
    }
    if target.starts_with("socket:") {
        let file = fs::metadata(process.path("fd/2")).ok();
        let id = file.map(|file| format!("{}:{}", file.dev(), file.ino()));
        return if id.as_deref() == journal && journal.is_some() {
            Check::good(ABOUT, "it goes to the journal: journalctl _PID=PID")
        } else {
            Check::note(ABOUT, format!("it is a socket ({target})"))
        };
    }
    match target.strip_suffix(" (deleted)") {
        Some(path) => Check::problem(ABOUT, format!("its file {path} has been deleted"), ELSEWHERE),
        None => Check::good(ABOUT, format!("it is {target}")),
    }
}

fn pipe(process: Process, target: &str) -> Check {
    let nobody = || {
        Check::problem(
            ABOUT,
            format!("it is a pipe that nobody can read any more ({target})"),
            "start the process with standard error somewhere else, or with GMR_LOG_DIR",
        )
    };
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let pipe = match rustix::fs::open(process.path("fd/2"), flags, Mode::empty()) {
        Ok(pipe) => pipe,
        // A named pipe that nobody has open for reading.
        Err(Errno::NXIO) => return nobody(),
        Err(error) => return Check::unknown(ABOUT, &error.into()),
    };
    let mut polled = [PollFd::new(&pipe, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if let Err(error) = poll(&mut polled, Some(&now)) {
        return Check::unknown(ABOUT, &error.into());
    }
    let state = polled[0].revents();
    if state.contains(PollFlags::ERR) {
        return nobody();
    }
    if state.contains(PollFlags::OUT) {
        return Check::good(ABOUT, format!("it is a pipe that has a reader and space ({target})"));
    }
    Check::problem(
        ABOUT,
        format!("it is a pipe that is full ({target}): nobody reads it now"),
        "read it; a report is dropped if no byte goes out for five seconds",
    )
}
