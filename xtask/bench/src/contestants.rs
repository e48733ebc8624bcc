//! The tools that are measured: gmr and others for the same purpose, each with a program in its own
//! language that has the same number of threads, equally deep. It starts nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::setting::{Setting, foreign, version};

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// The program that is reported on, given the number and depth of its threads.
    pub(crate) subject: Subject,
    pub(crate) request: Request,
    /// How many threads the report has, without the main thread in some tools. A report with too
    /// few is rejected.
    pub(crate) threads: Count,
    /// The smallest and the largest number of threads that it is measured with.
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// Counts the threads in a report.
type Count = fn(&str) -> usize;

type Subject = Box<dyn Fn(&Setting, usize, usize) -> Command>;

/// How a report is requested.
pub(crate) enum Request {
    /// By SIGUSR2, this many times in one process.
    BySignal { times: usize },
    /// By a program that gets the process id, once in each process.
    ByTool(fn(u32) -> Command),
}

impl Contestant {
    pub(crate) fn is_gmr(&self) -> bool {
        self.name.starts_with("gmr")
    }
}

/// Prepares one of the other tools, or says why it is not measured.
type Other = fn(&Setting) -> Result<Contestant, String>;

/// The tools that can be measured here, and a line for each of the others that says why not.
pub(crate) fn all(setting: &Setting) -> (Vec<Contestant>, Vec<String>) {
    let mut available =
        vec![gmr(), gmr_full(), gmr_different(), gmr_locked(), gmr_locked_different(), gmr_deadlocked()];
    let mut missing = Vec::new();
    let others: [Other; 6] = [gdb, eu_stack, oslo, jstack, go, node];
    for other in others {
        match other(setting) {
            Ok(contestant) => available.push(contestant),
            Err(reason) => missing.push(reason),
        }
    }
    (available, missing)
}

fn crowd(setting: &Setting, threads: usize, depth: usize) -> Command {
    setting.program("crowd", &[&threads, &depth])
}

/// Of a group with many names, text has the first ones only, and how many threads it has.
fn named_or_grouped(report: &str) -> usize {
    let group = |line: &str| -> Option<usize> {
        line.trim_matches(['-', ' ']).strip_suffix(" threads with the same stack")?.parse().ok()
    };
    report.lines().filter_map(group).sum::<usize>() + report.matches("(crowd-").count()
}

fn gmr() -> Contestant {
    let request = Request::BySignal { times: 6 };
    Contestant {
        name: "gmr",
        subject: Box::new(crowd),
        request,
        threads: named_or_grouped,
        least: 1,
        most: usize::MAX,
    }
}

fn gmr_full() -> Contestant {
    let subject = |setting: &Setting, threads, depth| {
        let mut command = crowd(setting, threads, depth);
        command.env("GMR_BACKTRACE", "full");
        command
    };
    Contestant { name: "gmr, GMR_BACKTRACE=full", subject: Box::new(subject), ..gmr() }
}

fn gmr_different() -> Contestant {
    let subject = |setting: &Setting, threads: usize, depth: usize| {
        setting.program("crowd", &[&threads, &depth, &"different"])
    };
    Contestant { name: "gmr, stacks that differ", subject: Box::new(subject), ..gmr() }
}

/// The report of all others has no suspicion either.
pub(crate) const LOCKED: &str = "gmr, all wait for one lock";
/// With the pause before the second look.
pub(crate) const DEADLOCKED: &str = "gmr, two threads in a deadlock";

fn gmr_locked() -> Contestant {
    let subject =
        |setting: &Setting, threads: usize, depth| setting.program("crowd", &[&threads, &depth, &"locked"]);
    Contestant { name: LOCKED, subject: Box::new(subject), least: 100, ..gmr() }
}

/// Each stack is searched for the lock, and not only some of those that are the same.
fn gmr_locked_different() -> Contestant {
    let subject = |setting: &Setting, threads: usize, depth: usize| {
        setting.program("crowd", &[&threads, &depth, &"locked-different"])
    };
    Contestant {
        name: "gmr, all wait for one lock, stacks that differ",
        subject: Box::new(subject),
        least: 100,
        ..gmr()
    }
}

fn gmr_deadlocked() -> Contestant {
    let subject = |setting: &Setting, threads: usize, depth: usize| {
        setting.program("crowd", &[&threads, &depth, &"deadlocked"])
    };
    Contestant { name: DEADLOCKED, subject: Box::new(subject), least: 100, ..gmr() }
}

fn gdb(_: &Setting) -> Result<Contestant, String> {
    installed("gdb", "gdb", "--version")?;
    let request = Request::ByTool(|pid| {
        let mut command = Command::new("gdb");
        command.args(["-p", &pid.to_string(), "-batch", "-nx"]);
        command.args(["-ex", "set debuginfod enabled off", "-ex", "thread apply all bt"]);
        command
    });
    Ok(Contestant {
        name: "gdb",
        subject: Box::new(crowd),
        request,
        threads: |report| report.matches("\nThread ").count(),
        least: 1,
        most: 1000,
    })
}

fn eu_stack(_: &Setting) -> Result<Contestant, String> {
    installed("eu-stack", "eu-stack", "--version")?;
    let request = Request::ByTool(|pid| {
        let mut command = Command::new("eu-stack");
        command.args(["-p", &pid.to_string()]);
        command
    });
    Ok(Contestant {
        name: "eu-stack",
        subject: Box::new(crowd),
        request,
        threads: |report| report.matches("TID ").count(),
        least: 1,
        most: 1000,
    })
}

fn oslo(setting: &Setting) -> Result<Contestant, String> {
    installed("oslo.reports", "python3", "--version")?;
    let python = setting.directory.join("oslo/bin/python");
    if !has_oslo(&python) {
        install_oslo(setting);
    }
    if !has_oslo(&python) {
        return Err("oslo.reports: cannot be installed with pip; not measured".to_owned());
    }
    let subject = move |_: &Setting, threads: usize, depth: usize| {
        let mut command = Command::new(&python);
        command.arg(foreign("crowd.py")).args([threads.to_string(), depth.to_string()]);
        command
    };
    let request = Request::BySignal { times: 2 };
    Ok(Contestant {
        name: "oslo.reports",
        subject: Box::new(subject),
        request,
        threads: |report| report.matches("Thread #").count(),
        least: 1,
        most: 8000,
    })
}

fn has_oslo(python: &Path) -> bool {
    let import = Command::new(python).args(["-c", "import oslo_reports"]).output();
    import.is_ok_and(|output| output.status.success())
}

/// Installs it into an environment in the target directory. The caller checks whether that worked.
fn install_oslo(setting: &Setting) {
    let environment = setting.directory.join("oslo");
    let _ = Command::new("python3").args(["-m", "venv"]).arg(&environment).output();
    let mut pip = Command::new(environment.join("bin/python"));
    let _ = pip.args(["-m", "pip", "install", "--quiet", "oslo.reports"]).output();
}

fn jstack(_: &Setting) -> Result<Contestant, String> {
    installed("jstack", "java", "--version")?;
    installed("jstack", "jstack", "-h")?;
    let subject = |_: &Setting, threads: usize, depth: usize| {
        let mut command = Command::new("java");
        command.arg(foreign("Crowd.java")).args([threads.to_string(), depth.to_string()]);
        command
    };
    let request = Request::ByTool(|pid| {
        let mut command = Command::new("jstack");
        command.arg(pid.to_string());
        command
    });
    Ok(Contestant {
        name: "jstack",
        subject: Box::new(subject),
        request,
        threads: |report| report.matches("\"crowd-").count(),
        least: 1,
        most: 8000,
    })
}

/// Builds the program in Go.
pub(super) fn built_by_go(setting: &Setting) -> Result<PathBuf, String> {
    installed("Go", "go", "version")?;
    let program = setting.directory.join("crowd-go");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(foreign("crowd.go")).status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("Go: the program cannot be built; not measured".to_owned());
    }
    Ok(program)
}

fn go(setting: &Setting) -> Result<Contestant, String> {
    let program = built_by_go(setting)?;
    let subject = move |_: &Setting, threads: usize, depth: usize| {
        let mut command = Command::new(&program);
        command.args([threads.to_string(), depth.to_string(), "2".to_owned()]);
        command
    };
    let request = Request::BySignal { times: 2 };
    let name = "Go, pprof goroutine debug=2";
    Ok(Contestant {
        name,
        subject: Box::new(subject),
        request,
        threads: |report| report.matches("goroutine ").count(),
        least: 1,
        most: 8000,
    })
}

fn node(_: &Setting) -> Result<Contestant, String> {
    installed("Node", "node", "--version")?;
    let subject = |_: &Setting, _, _| {
        let mut command = Command::new("node");
        command.arg(foreign("crowd.js"));
        command
    };
    let request = Request::BySignal { times: 2 };
    let name = "Node, process.report";
    Ok(Contestant {
        name,
        subject: Box::new(subject),
        request,
        threads: |report| report.matches("\"javascriptStack\"").count(),
        least: 1,
        most: 1,
    })
}

fn installed(name: &str, program: &str, argument: &str) -> Result<(), String> {
    version(program, argument).map(drop).ok_or_else(|| format!("{name}: not installed; not measured"))
}
