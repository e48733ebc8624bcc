//! Children that have ended, recently and long ago.

use super::*;
use crate::findings::SecondLook;
use crate::findings::tests::{codes, find, section, thread};
use crate::model::{Children, Processes, Thread, Threads, Waiting};

fn child(pid: u32, ended_for_ms: Option<u64>) -> Process {
    Process { pid, depth: 1, command: vec!["[sh]".to_owned()], ended_for_ms, ..Process::default() }
}

fn about(children: Vec<Process>, threads: Vec<Thread>) -> Vec<Finding> {
    let processes = Processes { processes: children, ..Processes::default() };
    let threads = Threads { threads, ..Threads::default() };
    let sections =
        [section("Threads", Content::Threads(threads)), section("Processes", Content::Processes(processes))];
    find(&sections, &[], &SecondLook::NotTaken)
}

fn severity(children: usize, ended_for_ms: u64, threads: Vec<Thread>) -> Severity {
    let children = (0..children).map(|_| child(8, Some(ended_for_ms))).collect();
    let zombies = about(children, threads).into_iter().find(|finding| finding.code == "process.zombies");
    zombies.unwrap().severity
}

#[test]
fn a_child_that_ended_long_ago_is_an_info_with_its_time() {
    let grandchild = Process { depth: 2, ..child(9, Some(90_000)) };
    let children = vec![child(5, None), child(6, Some(9_999)), child(7, Some(12_000)), grandchild];
    let findings = about(children, Vec::new());
    assert_eq!(codes(&findings), ["process.zombies"]);
    assert_eq!((findings[0].severity, findings[0].section.as_deref()), (Severity::Info, Some("Processes")));
    let evidence: Vec<_> = findings[0].evidence.iter().map(|evidence| &*evidence.message).collect();
    assert_eq!(evidence, ["process 7 [sh] ended at least 12.0 s ago"]);
    assert_eq!(about(vec![child(6, Some(0))], Vec::new()), []);
}

#[test]
fn very_many_are_a_warning_unless_a_thread_waits_for_children() {
    assert_eq!(severity(MANY, VERY_LONG_MS, Vec::new()), Severity::Warning);
    assert_eq!(severity(MANY - 1, VERY_LONG_MS, Vec::new()), Severity::Info);
    assert_eq!(severity(MANY, VERY_LONG_MS - 1, Vec::new()), Severity::Info);
    let waiting = Waiting { children: Some(Children::Any), ..Waiting::default() };
    let waits = Thread { waiting: Some(waiting.into()), ..thread(1, "main") };
    assert_eq!(severity(MANY, VERY_LONG_MS, vec![waits]), Severity::Info);
}
