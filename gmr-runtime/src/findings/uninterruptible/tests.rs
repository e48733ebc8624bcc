//! Threads in uninterruptible sleep, before and after a second look.

use std::time::Duration;

use super::*;
use crate::findings::tests::{codes, find, section, thread};
use crate::findings::{SecondLook, suspects};
use crate::model::{Content, Frame, Threads, Waiting};

fn in_call(tid: u32, call: &str, at_rest_ms: Option<u64>) -> Thread {
    let kernel_function = Some("folio_wait_bit_common".to_owned());
    let target = Some("/srv/orders".to_owned());
    let waiting = Waiting { call: call.to_owned(), target, kernel_function, ..Waiting::default() };
    let state = Some("disk sleep".to_owned());
    Thread { state, waiting: Some(waiting.into()), at_rest_ms, ..thread(tid, "writer") }
}

fn about(threads: Vec<Thread>, second: &SecondLook) -> Vec<Finding> {
    let frames = [Frame { function: Some("shop::write".to_owned()), ..Frame::default() }];
    let tids: Vec<u32> = threads.iter().map(|thread| thread.tid).collect();
    let sections = [section("Threads", Content::Threads(Threads { threads, ..Threads::default() }))];
    assert!(suspects(&sections, &frames).at_rest.into_iter().eq(tids));
    find(&sections, &frames, second)
}

fn moved(tids: &[u32]) -> SecondLook {
    SecondLook::Taken { moved: Some(tids.to_vec()), between: Duration::from_millis(50), used: Vec::new() }
}

#[test]
fn a_thread_that_has_not_moved_is_a_warning_with_what_it_waits_for() {
    let findings = about(vec![in_call(7, "read", Some(12_000)), in_call(8, "read", None)], &moved(&[8]));
    assert_eq!(codes(&findings), ["thread.uninterruptible"]);
    assert_eq!((findings[0].severity, &findings[0].threads[..]), (Severity::Warning, &[7][..]));
    let evidence = &findings[0].evidence[0];
    assert_eq!((evidence.thread, evidence.frame), (Some(7), Some(0)));
    assert_eq!(
        evidence.message,
        "#7 (writer) is in the kernel's function folio_wait_bit_common for at least 12.0 s, called by read \
         (/srv/orders)"
    );
    assert_eq!(about(vec![in_call(7, "read", None)], &moved(&[7])), []);
}

#[test]
fn without_a_second_look_it_is_an_info() {
    let findings = about(vec![in_call(7, "read", None)], &SecondLook::NotTaken);
    assert_eq!((codes(&findings), findings[0].severity), (vec!["thread.uninterruptible"], Severity::Info));
    let failed = SecondLook::Taken { moved: None, between: Duration::ZERO, used: Vec::new() };
    let findings = about(vec![in_call(7, "read", Some(12_000))], &failed);
    assert_eq!((codes(&findings), findings[0].severity), (vec!["thread.uninterruptible"], Severity::Info));
}

#[test]
fn it_is_a_warning_only_if_it_takes_very_long() {
    for call in ["read", "fsync", "vfork"] {
        for (time, severity) in
            [(None, Severity::Info), (Some(9_999), Severity::Info), (Some(10_000), Severity::Warning)]
        {
            let findings = about(vec![in_call(7, call, time)], &moved(&[]));
            assert_eq!(findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [severity]);
        }
    }
}

#[test]
fn evidence_is_about_a_few_threads() {
    let unread = Thread { state: Some("disk sleep".to_owned()), ..thread(1, "writer") };
    let many = std::iter::once(unread).chain((7..17).map(|tid| in_call(tid, "read", None)));
    let findings = about(many.collect(), &moved(&[]));
    assert_eq!(findings[0].threads.len(), 11);
    let evidence: Vec<_> = findings[0].evidence.iter().map(|evidence| evidence.thread.unwrap()).collect();
    assert_eq!(evidence, [7, 8, 9, 10, 11]);
}
