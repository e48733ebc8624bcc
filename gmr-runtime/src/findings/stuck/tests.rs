//! Threads that have been at rest for long, in calls of both kinds.

use super::*;
use crate::findings::SecondLook;
use crate::findings::tests::{codes, find, section, thread};
use crate::model::{Content, Frame, LockKind, Threads, Waiter, Waiting};

fn in_call(tid: u32, call: &str, at_rest_ms: u64) -> Thread {
    let waiting =
        Waiting { call: call.to_owned(), peer: Some("10.0.0.7:5432".to_owned()), ..Waiting::default() };
    Thread { waiting: Some(waiting.into()), at_rest_ms: Some(at_rest_ms), ..thread(tid, "client") }
}

fn about(threads: Vec<Thread>, locks: Vec<Lock>) -> Vec<Finding> {
    let frames = [Frame { function: Some("shop::pay".to_owned()), ..Frame::default() }];
    let content = Content::Threads(Threads { threads, locks, ..Threads::default() });
    let mut findings = find(&[section("Threads", content)], &frames, &SecondLook::NotTaken);
    // Those that wait for the same peer have a finding of their own.
    findings.retain(|finding| finding.code != "peer.waits");
    findings
}

#[test]
fn a_thread_that_has_been_in_a_short_call_for_long_is_an_info_with_its_time() {
    let threads = [("connect", 12_000), ("write", 60_000), ("connect", 9_999), ("accept", 90_000)];
    let threads = (1..).zip(threads).map(|(tid, (call, time))| in_call(tid, call, time));
    let findings = about(threads.collect(), Vec::new());
    assert_eq!(codes(&findings), ["thread.stuck"]);
    assert_eq!((findings[0].severity, &findings[0].threads[..]), (Severity::Info, &[2, 1][..]));
    let evidence = &findings[0].evidence[1];
    assert_eq!((evidence.thread, evidence.frame), (Some(1), Some(0)));
    assert_eq!(
        evidence.message,
        "#1 (client) is in connect (10.0.0.7:5432) and has not run for at least 12.0 s"
    );
}

#[test]
fn a_thread_that_has_waited_for_a_lock_for_long_is_stuck_and_one_of_a_pool_is_not() {
    let waiter = Waiter { tid: 1, frame: None };
    let lock = Lock { address: 16, kind: LockKind::Mutex, waiters: vec![waiter], holders: Vec::new() };
    let findings = about(vec![in_call(1, "futex", 12_000), in_call(2, "futex", 12_000)], vec![lock]);
    assert_eq!(codes(&findings), ["thread.stuck"]);
    assert_eq!(findings[0].threads, [1]);
    assert_eq!(
        findings[0].evidence[0].message,
        "#1 (client) waits for the lock 0x10 and has not run for at least 12.0 s"
    );
}
