//! Conditions that make a report by themselves: runtimes of tokio that poll nothing, and a cgroup with
//! little memory left.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::program::{Program, program, wait_until};
use crate::report::{Report, text};

fn start(mode: &str, watchdog: &str) -> Program {
    let mut command = Command::new(program!("conditions"));
    command.arg(mode).env("GMR_WATCHDOG", watchdog);
    Program::start_with(command)
}

fn cause<'a>(report: &'a Report, option: &str) -> &'a str {
    let trigger = report.trigger();
    assert_eq!((&trigger["kind"], &trigger["name"]), (&"automatic".into(), &option.into()), "{report}");
    text(&trigger["cause"])
}

fn expect_silence(program: Program) {
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

/// Waits until the thread that looks at conditions has slept this many times.
fn wait_for_looks(program: &Program, looks: u64) {
    let tasks = PathBuf::from(format!("/proc/{}/task", program.pid()));
    let slept = || {
        let threads = fs::read_dir(&tasks).expect("it lives").flatten().map(|thread| thread.path());
        let is_meant = |path: &PathBuf| {
            fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "gmr conditions")
        };
        let status = fs::read_to_string(threads.into_iter().find(is_meant)?.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    wait_until("the thread has its name", || slept().is_some());
    let before = slept().unwrap_or_default();
    wait_until("it has looked", || slept().is_some_and(|slept| slept >= before + looks));
}

#[test]
fn a_runtime_whose_workers_are_blocked_makes_a_report() {
    for (mode, kind, functions) in [("many", "2 workers", 2), ("one", "one thread", 1)] {
        let mut program = start(mode, "200ms");
        program.tell("block");
        let report = program.next_report();
        let cause = cause(&report, "watchdog");
        assert!(cause.contains(kind) && cause.contains("has not polled a new task for"), "{cause}");
        let threads = report.threads();
        let hanging = threads.iter().filter(|thread| thread.stack().mentions("conditions::hang"));
        assert_eq!(hanging.count(), functions, "{report}");
        assert!(program.hear().starts_with("done") && program.ask("end").starts_with("done"));
        // The next one about it would be a minute later.
        wait_for_looks(&program, 4);
        expect_silence(program);
    }
}

#[test]
fn a_runtime_that_polls_its_tasks_makes_no_report() {
    for mode in ["many", "one"] {
        for work in ["", "work"] {
            let mut program = start(mode, "10s");
            program.ask(work);
            wait_for_looks(&program, 3);
            expect_silence(program);
        }
    }
}

/// A runtime that nobody is in polls nothing, and nothing is wrong.
#[test]
fn a_runtime_of_one_thread_that_nobody_waits_for_makes_no_report() {
    let program = start("apart", "40ms");
    wait_for_looks(&program, 20);
    expect_silence(program);
}

/// A cgroup with 64 MiB of memory, removed at the end.
struct Limited(PathBuf);

impl Limited {
    fn new() -> Result<Self, String> {
        let name = format!("gmr-memory-{}", std::process::id());
        let (old, new) = (PathBuf::from("/sys/fs/cgroup/memory"), PathBuf::from("/sys/fs/cgroup"));
        let (mount, file) = if old.is_dir() { (old, "memory.limit_in_bytes") } else { (new, "memory.max") };
        let limited = Self(mount.join(name));
        let made = fs::create_dir(&limited.0).and_then(|()| fs::write(limited.0.join(file), "67108864"));
        made.map(|()| limited).map_err(|error| error.to_string())
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        wait_until("the cgroup is removed", || fs::remove_dir(&self.0).is_ok() || !self.0.exists());
    }
}

#[test]
fn a_cgroup_with_little_memory_left_makes_a_report_once() {
    let limited = match Limited::new() {
        Ok(limited) => limited,
        Err(reason) => return eprintln!("skipped: no cgroup can be made here: {reason}"),
    };
    let mut command = Command::new("sh");
    command.args(["-c", r#"echo $$ > "$1/cgroup.procs" && shift && exec "$@""#, "sh"]);
    command.arg(&limited.0).args([program!("conditions"), "one"]).env("GMR_ON_MEMORY", "60%");
    let mut program = Program::start_with(command);
    wait_for_looks(&program, 2);
    program.tell("allocate");
    let report = program.next_report();
    let cause = cause(&report, "on_memory");
    assert!(cause.contains("at most 64.0 MiB") && cause.ends_with("more than 60 %"), "{cause}");
    assert!(program.hear().starts_with("done"));
    wait_for_looks(&program, 2);
    assert!(program.ask("free").starts_with("done"));
    expect_silence(program);
}

#[test]
fn what_cannot_be_watched_is_said() {
    let mut command = Command::new(program!("conditions"));
    command.arg("one").env("GMR_ON_MEMORY", "lots").env("GMR_WATCHDOG", "soon");
    let mut program = Program::start_with(command);
    let mut said = [program.next_error_line(), program.next_error_line()];
    said.sort_unstable();
    assert!(said[0].contains("GMR_ON_MEMORY") && said[0].contains("`90%`"), "{said:?}");
    assert!(said[1].contains("GMR_WATCHDOG"), "{said:?}");
    expect_silence(program);
}
