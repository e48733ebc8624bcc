//! Tasks that block a worker, or that wait for something are found, and healthy ones that look
//! like them are not taken for them.

use std::process::Command;

use serde_json::Value;

use crate::program::{Program, program, scaled};
use crate::report::{Report, list, text};

fn start(mode: &str) -> Program {
    let mut command = Command::new(program!("stuck_tasks"));
    command.arg(mode);
    Program::start_with(command)
}

/// The finding with this code and severity in which a task of this function is.
fn find<'a>(report: &'a Report, code: &str, severity: &str, function: &str) -> Option<&'a Value> {
    let name = format!("stuck_tasks::{function}");
    let of_function = |id: &Value| {
        report.tasks().iter().any(|task| task["id"] == *id && text(&task["name"]).contains(&name))
    };
    let is_it = |finding: &&Value| {
        finding["code"] == code
            && finding["severity"] == severity
            && list(&finding["tasks"]).iter().any(of_function)
    };
    report.findings().iter().find(is_it)
}

/// Reports until one has this finding.
fn report_with(program: &mut Program, code: &str, severity: &str, function: &str) -> Report {
    let what = format!("{code} as {severity} about {function}");
    program.report_when(&what, |report| {
        report.has_all_names() && find(report, code, severity, function).is_some()
    })
}

/// The functions at which the evidence of a finding is.
fn functions<'a>(report: &'a Report, finding: &'a Value) -> Vec<&'a str> {
    let evidence = list(&finding["evidence"]).iter().filter(|evidence| evidence["frame"].is_u64());
    evidence.map(|evidence| text(&report.frame_at(&evidence["frame"])["function"])).collect()
}

/// All findings about tasks that say more than `info`.
fn alarms(report: &Report) -> Vec<&Value> {
    let about_tasks = report.findings().iter().filter(|finding| text(&finding["code"]).starts_with("task."));
    about_tasks.filter(|finding| finding["severity"] != "info").collect()
}

#[test]
fn a_poll_that_sleeps_blocks_its_worker() {
    let mut program = start("blocks");
    let report = report_with(&mut program, "task.blocks-worker", "error", "reads_in_its_poll");
    let finding = find(&report, "task.blocks-worker", "error", "reads_in_its_poll").expect("it is there");
    assert_eq!(finding["certainty"], "certain", "{finding}");
    let [evidence] = list(&finding["evidence"]) else { panic!("{finding}") };
    assert!(text(&evidence["message"]).contains(" read (pipe:["), "{evidence}");
    assert!(functions(&report, finding)[0].starts_with("stuck_tasks::read_forever"), "{finding}");
    assert_eq!(list(&finding["threads"]), [evidence["thread"].clone()]);
    assert!(!report.findings().iter().any(|finding| finding["code"] == "task.workers-blocked"), "{report}");
}

#[test]
fn a_runtime_without_a_free_worker_is_one_finding() {
    let mut program = start("wedged");
    let report = report_with(&mut program, "task.workers-blocked", "error", "reads_in_its_poll");
    let finding = find(&report, "task.workers-blocked", "error", "reads_in_its_poll").expect("it is there");
    assert!(functions(&report, finding)[0].starts_with("stuck_tasks::read_forever"), "{finding}");
    assert!(find(&report, "task.blocks-worker", "error", "reads_in_its_poll").is_none(), "{report}");
}

#[test]
fn block_on_in_a_poll_is_found_with_its_caller() {
    let (code, function) = ("task.block-on-in-worker", "waits_for_a_future_in_its_poll");
    let report = report_with(&mut start("block-on"), code, "warning", function);
    let finding = find(&report, code, "warning", function).expect("it is there");
    assert!(functions(&report, finding)[0].contains(function), "{finding}");
    // tokio has a way to do it.
    let mut program = start("block-on-in-place");
    let report = report_with(&mut program, code, "info", "waits_in_place");
    assert_eq!(alarms(&report), Vec::<&Value>::new(), "{report}");
}

#[test]
fn functions_that_wait_for_a_blocking_thread_are_found() {
    let report = report_with(&mut start("pool"), "task.blocking-pool-full", "info", "read_forever");
    let finding = find(&report, "task.blocking-pool-full", "info", "read_forever").expect("it is there");
    assert_eq!(list(&finding["tasks"]).len(), 1, "{finding}");
    assert_eq!(list(&finding["threads"]).len(), 8, "{finding}");
    assert_eq!(alarms(&report), Vec::<&Value>::new(), "{report}");
}

#[test]
fn tasks_that_wait_for_a_permit_a_lock_or_a_channel_are_found_by_place() {
    for (mode, function, tasks) in
        [("permits", "accepts", 1), ("mutex", "updates", 3), ("channel", "fills", 1)]
    {
        let mut program = start(mode);
        let report = program.report_when(&format!("all tasks of {mode}"), |report| {
            let found = find(report, "task.same-wait", "info", function);
            found.is_some_and(|finding| list(&finding["tasks"]).len() == tasks)
        });
        let finding = find(&report, "task.same-wait", "info", function).expect("it is there");
        assert!(functions(&report, finding)[0].contains(function), "{finding}");
        assert_eq!(alarms(&report), Vec::<&Value>::new(), "{report}");
    }
}

#[test]
fn a_task_without_a_waker_is_found() {
    let report = report_with(&mut start("lost"), "task.never-woken", "info", "is_lost");
    let finding = find(&report, "task.never-woken", "info", "is_lost").expect("it is there");
    assert_eq!(finding["certainty"], "possible");
    assert_eq!(alarms(&report), Vec::<&Value>::new(), "{report}");
}

#[test]
fn a_select_loop_that_never_waits_is_found() {
    let report = report_with(&mut start("spins"), "task.polled-often", "info", "spins");
    let finding = find(&report, "task.polled-often", "info", "spins").expect("it is there");
    let [evidence] = list(&finding["evidence"]) else { panic!("{finding}") };
    assert_eq!(evidence["task"], finding["tasks"][0], "{finding}");
    assert_eq!(alarms(&report), Vec::<&Value>::new(), "{report}");
    // One that waits, once its average counts.
    let mut program = start("ticks");
    let report = program.report_when("a task that is old enough", |report| {
        report.tasks().iter().any(|task| task["age_ms"].as_u64().is_some_and(|age| age > 1_500))
    });
    assert!(report.findings().iter().all(|finding| finding["code"] != "task.polled-often"), "{report}");
}

/// The healthy ways.
const HEALTHY: [&str; 8] =
    ["main", "in-place", "block-on-in-place", "blocking", "computes", "rests", "serves", "ticks"];

#[test]
fn healthy_programs_have_no_alarm_about_tasks() {
    for mode in HEALTHY {
        let mut program = start(mode);
        // Long enough for the polls to be long ones.
        let is_old = |report: &Report| {
            report.tasks().iter().all(|task| task["state"]["kind"] == "new")
                || report.tasks().iter().any(|task| task["age_ms"].as_u64().is_some_and(|age| age > 1_500))
        };
        let mut reports = 0;
        program.report_when(&format!("reports of {mode}"), |report| {
            assert_eq!(alarms(report), Vec::<&Value>::new(), "{mode}: {report}");
            reports += usize::from(is_old(report));
            reports > scaled(20)
        });
    }
}

#[test]
fn a_task_that_is_served_is_not_found_waiting() {
    let mut program = start("serves");
    for _ in 0..scaled(20) {
        let report = program.report();
        let waits = |code: &str| report.findings().iter().any(|finding| finding["code"] == code);
        assert!(!waits("task.same-wait") && !waits("task.never-woken"), "{report}");
    }
}
