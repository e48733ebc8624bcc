//! Conditions that make a report by themselves: runtimes of tokio that poll nothing, tasks that
//! take too long, and little that is left of memory, descriptors or threads.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cgroup::{Cgroup, Limit};
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

const WATCHDOG: &str = "gmr watchdog";
const CONDITIONS: &str = "gmr conditions";

/// Waits until the thread of this name, which looks at conditions, has slept this many times.
fn wait_for_looks(program: &Program, name: &str, looks: u64) {
    let tasks = PathBuf::from(format!("/proc/{}/task", program.pid()));
    let slept = || {
        let threads = fs::read_dir(&tasks).expect("it lives").flatten().map(|thread| thread.path());
        let is_meant =
            |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|found| found.trim() == name);
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
        wait_for_looks(&program, WATCHDOG, 4);
        expect_silence(program);
    }
}

#[test]
fn a_runtime_that_polls_its_tasks_makes_no_report() {
    for mode in ["many", "one"] {
        for work in ["", "work"] {
            let mut program = start(mode, "10s");
            program.ask(work);
            wait_for_looks(&program, WATCHDOG, 3);
            expect_silence(program);
        }
    }
}

/// A runtime that nobody is in polls nothing, and nothing is wrong.
#[test]
fn a_runtime_of_one_thread_that_nobody_waits_for_makes_no_report() {
    let program = start("apart", "40ms");
    wait_for_looks(&program, WATCHDOG, 20);
    expect_silence(program);
}

/// What is in use goes above the limit by one request, and below it by the other. Returns the cause
/// of the only report.
fn above_once(command: Command, option: &str, [above, below]: [&str; 2]) -> String {
    let mut program = Program::start_with(command);
    wait_for_looks(&program, CONDITIONS, 2);
    program.tell(above);
    let cause = cause(&program.next_report(), option).to_owned();
    assert!(program.hear().starts_with("done"));
    wait_for_looks(&program, CONDITIONS, 2);
    assert!(program.ask(below).starts_with("done"));
    expect_silence(program);
    cause
}

#[test]
fn a_cgroup_with_little_memory_left_makes_a_report_once() {
    const LIMIT: Limit = Limit {
        controller: "memory",
        first: &[("memory.limit_in_bytes", "67108864")],
        second: &[("memory.max", "67108864")],
    };
    let cgroup = match Cgroup::new(&LIMIT) {
        Ok(cgroup) => cgroup,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let mut command = cgroup.command(program!("conditions"));
    command.arg("one");
    command.env("GMR_ON_MEMORY", "60%");
    let cause = above_once(command, "on_memory", ["allocate", "free"]);
    assert!(cause.contains("at most 64.0 MiB") && cause.ends_with("on_memory = 60 %"), "{cause}");
}

#[test]
fn a_cgroup_with_few_threads_left_makes_a_report_once() {
    const LIMIT: Limit =
        Limit { controller: "pids", first: &[("pids.max", "120")], second: &[("pids.max", "120")] };
    let cgroup = match Cgroup::new(&LIMIT) {
        Ok(cgroup) => cgroup,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let mut command = cgroup.command(program!("conditions"));
    command.arg("one");
    command.env("GMR_ON_THREADS", "80%");
    let cause = above_once(command, "on_threads", ["start threads", "end"]);
    assert!(cause.contains("at most 120 processes") && cause.ends_with("on_threads = 80 %"), "{cause}");
}

/// The program, with at most 200 descriptors.
fn with_few_descriptors() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 200 && exec "$@""#, "sh", program!("conditions"), "one"]);
    command
}

#[test]
fn a_process_with_few_descriptors_left_makes_a_report_once() {
    let mut command = with_few_descriptors();
    command.env("GMR_ON_DESCRIPTORS", "85%");
    let cause = above_once(command, "on_descriptors", ["open", "close"]);
    assert!(cause.contains("of at most 200 descriptors") && cause.ends_with("= 85 %"), "{cause}");
}

#[test]
fn a_process_with_many_threads_makes_a_report_once() {
    let mut command = Command::new(program!("conditions"));
    command.arg("one").env("GMR_ON_THREADS", "100");
    let cause = above_once(command, "on_threads", ["start threads", "end"]);
    assert!(cause.starts_with("the process has 1") && cause.ends_with("on_threads = 100"), "{cause}");
}

#[test]
fn a_process_with_enough_of_everything_makes_no_report() {
    let mut command = with_few_descriptors();
    command.envs([("GMR_ON_DESCRIPTORS", "99%"), ("GMR_ON_THREADS", "1000"), ("GMR_SLOW_TASK", "10min")]);
    let mut program = Program::start_with(command);
    for what in ["open", "start threads", "order"] {
        assert!(program.ask(what).starts_with("done"));
    }
    wait_for_looks(&program, CONDITIONS, 3);
    expect_silence(program);
}

#[test]
fn a_task_that_takes_longer_than_others_makes_a_report_that_begins_with_it() {
    for mode in ["one", "many"] {
        let mut command = Command::new(program!("conditions"));
        command.arg(mode).env("GMR_SLOW_TASK", "1s");
        let mut program = Program::start_with(command);
        // At least one of them ends in time, however busy the machine is.
        let orders = ["order", "deliver"].repeat(10);
        for what in ["accept"].into_iter().chain(orders).chain(["order"]) {
            assert!(program.ask(what).starts_with("done"));
        }
        let report = program.next_report();
        let cause = cause(&report, "slow_task");
        let tasks = report.tasks();
        let (first, second) = (&tasks[0], &tasks[1]);
        assert!(first["name"] == "order" && first["id"].as_u64() > second["id"].as_u64(), "{report}");
        assert!(cause.starts_with(&format!("task #{} (order), spawned at ", first["id"])), "{cause}");
        assert!(cause.contains("takes longer than 1s") && !cause.contains("other task"), "{cause}");
        // The next one about it would be a minute later.
        wait_for_looks(&program, CONDITIONS, 3);
        expect_silence(program);
    }
}

/// They are to last as long as the program.
#[test]
fn tasks_of_a_kind_that_never_ends_make_no_report() {
    let mut command = Command::new(program!("conditions"));
    command.arg("many").env("GMR_SLOW_TASK", "30ms");
    let mut program = Program::start_with(command);
    for _ in 0..3 {
        assert!(program.ask("accept").starts_with("done"));
    }
    assert!(program.ask("order").starts_with("done"));
    wait_for_looks(&program, CONDITIONS, 20);
    expect_silence(program);
}

#[test]
fn what_cannot_be_watched_is_said() {
    let mut command = Command::new(program!("conditions"));
    command.arg("one").env("GMR_ON_MEMORY", "lots").env("GMR_WATCHDOG", "soon");
    command.env("GMR_ON_DESCRIPTORS", "101%").env("GMR_ON_THREADS", "-1").env("GMR_SLOW_TASK", "5");
    let mut program = Program::start_with(command);
    let mut said = [(); 5].map(|()| program.next_error_line());
    said.sort_unstable();
    let names = ["ON_DESCRIPTORS", "ON_MEMORY", "ON_THREADS", "SLOW_TASK", "WATCHDOG"];
    assert!(said.iter().zip(names).all(|(line, name)| line.contains(&format!("GMR_{name}: "))), "{said:?}");
    assert!(said[..3].iter().all(|line| line.contains("`90%`")), "{said:?}");
    expect_silence(program);
}
