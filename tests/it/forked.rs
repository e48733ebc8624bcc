//! Children that did not become other programs: forked children, and one that the main thread waits
//! for.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::mark::marks;
use crate::program::{Program, program, wait_until};

fn start(how: &str) -> Program {
    let mut command = Command::new(program!("forked"));
    command.arg(how);
    Program::start_with(command)
}

#[test]
fn a_forked_child_can_be_asked_and_can_install_its_own() {
    let mut program = Program::start(program!("forked"));
    let answer: Value = serde_json::from_str(&program.ask("who are you?")).expect("JSON");
    // Without a reporter of its own it has made the first report itself.
    assert_eq!(answer["before"], json!({"product": null, "main_is_shown": true}));
    assert_eq!(answer["after"]["product"], "child");
    let child = i32::try_from(answer["pid"].as_i64().expect("a number")).expect("a process id");
    assert_ne!(child.unsigned_abs(), program.pid());
    kill_process(Pid::from_raw(child).unwrap(), Signal::USR2).unwrap();
    let report = program.next_report();
    assert_eq!(report.package()["product"], "child");
    assert_eq!(report.heading()["pid"], child);
    // The parent is not confused by it.
    assert_eq!(program.report().package()["product"], "parent");
    assert!(program.end().0.success());
}

/// The daemon's parent has ended.
#[test]
fn a_daemon_answers_once_it_has_started_gmr_again() {
    let mut program = start("daemon");
    let child = program.ask("who are you?").parse().expect("a process id");
    assert_ne!(child, program.pid().cast_signed());
    let child = Pid::from_raw(child).expect("not 0");
    // It lives, but has no thread that makes reports. One that it captures says so, and nothing
    // takes it for a process that answers.
    assert_eq!(marks(child.as_raw_nonzero().get().unsigned_abs()).len(), 0);
    kill_process(child, Signal::USR2).unwrap();
    let notes = program.ask("capture");
    assert!(notes.contains("forked from process") && notes.contains("gmr::after_fork()"), "{notes}");
    // The second time, it is running already.
    for _ in 0..2 {
        assert_eq!(program.ask("after fork"), "Ok(())");
    }
    assert_eq!(program.ask("capture"), "[]");
    assert_eq!(marks(child.as_raw_nonzero().get().unsigned_abs()).len(), 1);
    for _ in 0..2 {
        kill_process(child, Signal::USR2).unwrap();
        let report = program.next_report();
        assert_eq!(report.heading()["pid"], child.as_raw_nonzero().get());
        assert_eq!((report.failed(), &report.package()["product"]), (0, &json!("daemon")), "{report}");
        assert_eq!(report.data("Of the daemon", "fields"), &json!(7));
    }
    // Dropping the guard ends it. No other process has written anything.
    let (_, rest) = program.end();
    assert_eq!(rest, "");
}

#[test]
fn a_task_is_polled_by_a_thread_of_the_child_in_which_it_is_shown() {
    let mut program = start("inside");
    let answer: Value = serde_json::from_str(&program.ask("who are you?")).expect("JSON");
    let [first, second] = answer["states"].as_array().expect("a list").as_slice() else { panic!("{answer}") };
    for state in [first, second] {
        assert_eq!((&state["kind"], &state["tid"]), (&json!("polling"), &answer["pid"]), "{answer}");
        assert_eq!(state["thread"], "forked", "{answer}");
    }
    assert!(program.end().0.success());
}

#[test]
fn a_child_shows_the_spans_that_its_thread_is_inside() {
    let mut program = start("spans");
    let answer: Value = serde_json::from_str(&program.ask("what is shown?")).expect("JSON");
    let spans = |report: &Value| -> Vec<Value> {
        let mut spans = report["spans"].as_array().expect("a list").clone();
        spans.sort_by_key(|span| span["callsite"]["name"].to_string());
        assert_eq!(spans.len(), 3, "{answer}");
        spans
    };
    let tids = |span: &Value| -> Vec<Value> {
        let threads = span["threads"].as_array().expect("a list");
        assert_eq!(span["other_threads"], 0, "{span}");
        threads.iter().map(|thread| thread["tid"].clone()).collect()
    };
    let inside = &answer["inside"];
    let [others, own, shared] = &spans(&inside["spans"])[..] else { panic!("{answer}") };
    // The thread inside this one was the parent's.
    assert!(tids(others).is_empty() && others["left_ms"].is_u64(), "{others}");
    for span in [own, shared] {
        assert_eq!(tids(span), [answer["pid"].clone()]);
    }
    let note = "3 of the spans were opened in the process that this one was forked from";
    assert_eq!(inside["spans"]["notes"], json!([note]));
    let messages: Vec<_> = inside["events"]["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| &event["message"])
        .collect();
    assert_eq!(messages, ["before", "after"]);
    assert_eq!(
        inside["events"]["notes"],
        json!(["1 event is from the process that this one was forked from"])
    );
    for span in spans(&answer["outside"]) {
        assert!(tids(&span).is_empty(), "{span}");
    }
    assert!(program.end().0.success());
}

#[test]
fn a_child_polls_tasks_whatever_other_threads_did_as_it_was_forked() {
    let mut program = start("coming");
    let answer: Value = serde_json::from_str(&program.ask("how many?")).expect("JSON");
    assert_eq!(answer["polled"], answer["children"]);
    assert!(program.end().0.success());
}

/// Before a thread first holds a lock of gmr's, children have to know that they are such.
#[test]
fn a_child_polls_tasks_if_the_first_one_was_starting_as_it_was_forked() {
    let mut program = start("first");
    let answer: Value = serde_json::from_str(&program.ask("how many?")).expect("JSON");
    assert_ne!(answer["children"], 0);
    assert_eq!(answer["polled"], answer["children"]);
    assert!(program.end().0.success());
}

/// The handler that the thread was running never ends in the child.
#[test]
fn a_child_can_stop_gmr_whatever_signal_another_thread_was_handling_as_it_was_forked() {
    let mut program = start("handling");
    assert_eq!(program.ask("how many?"), "2");
    assert_eq!(program.next_report().number(), 1);
    assert!(program.end().0.success());
}

/// The kernel gives the signal to the main thread, which does not wake up for it.
#[test]
fn a_main_thread_that_waits_for_a_child_of_vfork_costs_no_report() {
    let mut program = start("vfork");
    for number in 1..=2 {
        let report = program.report();
        assert_eq!((report.number(), report.failed()), (number, 0), "{report}");
        assert_eq!(report.threads()[0].state(), Some("disk sleep"), "{report}");
        assert!(report.threads().iter().any(|thread| thread.name() == "worker"));
    }
    program.ask("end the child");
    // Each signal has had one report.
    let report = program.report();
    assert_eq!(report.number(), 3);
    assert_eq!(report.threads()[0].state(), Some("sleeping"), "{report}");
    let (status, rest) = program.end();
    assert_eq!((status.success(), rest.as_str()), (true, ""));
}

/// How often each of gmr's threads has gone to sleep. `None` unless all of them are asleep.
fn sleeps(program: &Program) -> Option<Vec<(String, String)>> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", program.pid())).expect("it lives").flatten();
    let statuses = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let of_gmr = statuses.filter(|status| field(status, "Name:").starts_with("gmr"));
    of_gmr
        .map(|status| {
            let is_asleep = field(&status, "State:").starts_with('S');
            is_asleep.then(|| (field(&status, "Name:"), field(&status, "voluntary_ctxt_switches:")))
        })
        .collect()
}

#[test]
fn idle_threads_of_gmrs_do_not_wake_up() {
    let mut program = start("vfork");
    program.report();
    // On a busy machine, they may not be done with the report yet.
    wait_until("all of them sleep for a second", || {
        let before = sleeps(&program).filter(|all| all.len() == 3);
        std::thread::sleep(Duration::from_secs(1));
        before.is_some() && sleeps(&program) == before
    });
}
