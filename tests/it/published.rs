//! What reports say of deadlocks and hangs that were published as issues of Rust programs:
//! `tests/programs/published.rs` reproduces them.

use std::process::Command;

use serde_json::Value;

use crate::program::{Program, program};
use crate::report::{Report, list, text};

fn start(mode: &str) -> Program {
    let mut command = Command::new(program!("published"));
    command.arg(mode);
    Program::start_with(command)
}

fn finding<'a>(report: &'a Report, code: &str) -> Option<&'a Value> {
    report.findings().iter().find(|finding| finding["code"] == code)
}

/// The functions that the evidence names, without their paths.
fn functions<'a>(report: &'a Report, finding: &Value) -> Vec<&'a str> {
    let frames = list(&finding["evidence"]).iter().filter(|evidence| !evidence["frame"].is_null());
    let names = frames.map(|evidence| text(&report.frame_at(&evidence["frame"])["function"]));
    names.map(|name| name.rsplit("::").next().expect("a name")).collect()
}

/// Reports until it is found that a thread waits for itself, and returns the thread's name and the
/// functions in which it waits for the lock and holds it.
fn deadlock_of_one(mode: &str) -> (String, Vec<String>) {
    let mut program = start(mode);
    let report = program.report_when("the deadlock", |report| finding(report, "deadlock.self").is_some());
    let found = finding(&report, "deadlock.self").expect("it is found");
    let threads = report.threads();
    let thread = threads.iter().find(|thread| found["threads"][0] == thread.tid()).expect("it is listed");
    (thread.name().to_owned(), functions(&report, found).into_iter().map(str::to_owned).collect())
}

/// rust-lang/rust#37612
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the code of other processors is not followed")]
fn a_guard_lives_until_the_end_of_a_match() {
    let (thread, functions) = deadlock_of_one("match");
    assert_eq!(thread, "prices");
    assert_eq!(functions, ["price", "price"]);
}

/// rayon-rs/rayon#592. Before the guard is dropped, the code calls functions that are not known, so
/// the lock's holder is not, either: the report has the thread that waits, and where.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the kernel does not show where threads wait")]
fn a_thread_of_a_pool_takes_the_next_job_with_a_lock_held() {
    let mut program = start("rayon");
    let waits = |report: &Report| finding(report, "thread.lock-wait").is_some();
    let report = program.report_when("a thread that waits for the lock", waits);
    let found = finding(&report, "thread.lock-wait").expect("it is found");
    assert_eq!((&found["severity"], functions(&report, found)[0]), (&"info".into(), "settle"));
    let threads = report.threads();
    let thread = threads.iter().find(|thread| found["threads"][0] == thread.tid()).expect("it is listed");
    assert!(thread.name().starts_with("rayon-"), "{report}");
    let settles = thread.stack().to_string().matches("published::settle").count();
    assert!(settles >= 2, "its stack has the function twice: {report}");
}

/// zubanls/zuban#314
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the code of other processors is not followed")]
fn a_reader_reads_once_more_while_a_writer_waits() {
    let (thread, functions) = deadlock_of_one("read-twice");
    assert_eq!(thread, "checker");
    assert_eq!(functions, ["resolve", "check"]);
}

/// rust-lang/rust#34971. Some versions of glibc notice it, and the second `join` panics.
#[test]
#[cfg_attr(
    not(all(target_arch = "x86_64", target_env = "gnu")),
    ignore = "what is joined is known of glibc's threads on this processor"
)]
fn two_threads_join_each_other() {
    let mut program = start("joins");
    let report = program.report_when("the deadlock", |report| finding(report, "deadlock.join").is_some());
    let found = finding(&report, "deadlock.join").expect("it is found");
    let threads = report.threads();
    let is_in = |name: &str| threads.iter().any(|thread| thread.name() == name && has(found, thread.tid()));
    assert!(is_in("one") && is_in("other"), "{found}");
    assert_eq!(functions(&report, found), ["join_other", "join_other"]);
}

/// Whether a finding is about this thread.
fn has(finding: &Value, tid: u64) -> bool {
    list(&finding["threads"]).iter().any(|thread| *thread == tid)
}

/// lightningdevkit/rapid-gossip-sync-server#32
#[test]
fn tasks_block_all_workers_until_another_task_reads() {
    let mut program = start("blocking-send");
    let report = program.report_when("both workers are blocked", |report| {
        finding(report, "task.workers-blocked").is_some() && finding(report, "task.not-polled").is_some()
    });
    let name = |finding: &Value| {
        let task = report.tasks().iter().find(|task| task["id"] == finding["tasks"][0]);
        text(&task.expect("it is listed")["name"])
    };
    let blocked = finding(&report, "task.workers-blocked").expect("it is found");
    assert_eq!((&blocked["severity"], name(blocked)), (&Value::from("error"), "published::announce"));
    // The reader was woken, and no worker is left.
    let not_polled = finding(&report, "task.not-polled").expect("it is found");
    assert_eq!(name(not_polled), "published::store");
}

/// build-trust/ockam#1947
#[test]
fn two_tasks_wait_for_space_in_each_others_queue() {
    let mut program = start("actors");
    let report = program.report_when("both wait", |report| {
        let tasks = report.tasks();
        let sends = |task: &&Value| {
            let is_in =
                |stack| report.stack(stack).mentions("Sender") && report.stack(stack).mentions("send");
            task["state"]["kind"] == "waiting" && list(&task["stacks"]).iter().any(is_in)
        };
        tasks.len() == 2 && tasks.iter().filter(sends).count() == 2
    });
    assert!(report.tasks().iter().all(|task| task["name"] == "published::work"), "{report}");
}
