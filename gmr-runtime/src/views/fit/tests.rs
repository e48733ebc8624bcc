use proptest::prelude::*;

use serde_json::{Value, json};

use super::*;
use crate::model::Frame;
use crate::views::tests::generated::report;
use crate::views::{Detail, Format, render};

fn json(report: &Report) -> Vec<u8> {
    render(report, Format::Json, Detail::Short)
}

/// The report that remains of one in so many bytes.
fn fitted(report: &Report, limit: usize) -> (Report, usize) {
    let bytes = fit(report, limit, json);
    (Report::from_json(std::str::from_utf8(&bytes).unwrap()).unwrap(), bytes.len())
}

/// What the frames of a stack are, whatever their indices. A source line may be missing.
fn frames(stack: &Stack, report: &Report) -> Vec<Frame> {
    let frame = |&index: &u32| Frame { source: None, ..report.frames[index as usize].clone() };
    stack.frames.iter().map(frame).collect()
}

fn threads(report: &Report) -> impl Iterator<Item = &Thread> {
    report.sections.iter().flat_map(|section| match &section.content {
        Content::Threads(threads) => &threads.threads[..],
        _ => &[],
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_is_as_it_was(report in report(), share in 1..110_usize) {
        let whole = json(&report).len();
        let limit = whole * share / 100;
        let (short, length) = fitted(&report, limit);
        let others = short.sections.iter().filter(|section| !matches!(section.content, Content::Package(_)));
        prop_assert!(length <= limit || others.count() == 0, "{} of {}", length, limit);
        if whole <= limit {
            prop_assert_eq!(&short, &report);
            return Ok(());
        }
        prop_assert_eq!(short.heading.notes.len(), report.heading.notes.len() + 1);
        prop_assert_eq!(&short.heading.notes[..report.heading.notes.len()], &report.heading.notes[..]);
        prop_assert_eq!(short.findings.len(), report.findings.len());
        for (after, before) in short.findings.iter().zip(&report.findings) {
            prop_assert_eq!(&after.message, &before.message);
            for (after, before) in after.evidence.iter().zip(&before.evidence) {
                let address = |report: &Report, frame: Option<u32>| {
                    frame.map(|frame| report.frames[frame as usize].address)
                };
                prop_assert_eq!(address(&short, after.frame), address(&report, before.frame));
            }
        }
        for after in threads(&short) {
            let Some(before) = threads(&report).find(|before| before.tid == after.tid) else {
                return Err(TestCaseError::fail("a thread that was not there"));
            };
            if !after.stack.frames.is_empty() {
                prop_assert_eq!(frames(&after.stack, &short), frames(&before.stack, &report));
            }
        }
    }
}

fn read(threads: &[Value], frames: &[Value], findings: &[Value]) -> Report {
    let heading = json!({ "number": 1, "made_at": "", "pid": 7, "trigger": { "kind": "api" }, "notes": [] });
    let content = json!({ "kind": "threads", "data": { "threads": threads, "notes": [] } });
    let sections = if threads.is_empty() {
        json!([])
    } else {
        json!([{ "title": "Threads", "took_us": 5, "content": content }])
    };
    let summary = json!({ "number": 1, "sections": 1, "failed": 0, "threads": 0, "took_us": 5 });
    let document = json!({
        "schema_version": "1.3", "heading": heading, "findings": findings, "sections": sections,
        "frames": frames, "summary": summary,
    });
    Report::from_json(&document.to_string()).unwrap()
}

/// A report with so many threads that are at rest, `own` of them in functions of the program.
fn crowd(count: usize, own: usize, findings: &[Value]) -> Report {
    let frame = |number: usize| {
        let (function, module) = if number < own {
            (format!("shop::wait{number}"), "/usr/bin/shop")
        } else {
            ("syscall".to_owned(), "/usr/lib/libc.so.6")
        };
        let source = "let order = orders.recv();";
        json!({ "address": number, "function": function, "module": module, "source": source, "inlined": false })
    };
    let thread = |number: usize| {
        let stack = json!({ "frames": [number] });
        let waiting = json!({ "call": "futex", "futex_others": 0 });
        json!({ "tid": number + 1, "name": "a", "role": "program", "waiting": waiting, "stack": stack })
    };
    let threads: Vec<_> = (0..count).map(thread).collect();
    let frames: Vec<_> = (0..count).map(frame).collect();
    read(&threads, &frames, findings)
}

fn finding() -> Value {
    json!({
        "code": "deadlock.std-lock", "severity": "error", "message": "a deadlock", "threads": [77], "tasks": [],
        "certainty": "certain", "evidence": [],
    })
}

fn stacks(report: &Report) -> usize {
    threads(report).filter(|thread| !thread.stack.frames.is_empty()).count()
}

#[test]
fn idle_threads_lose_their_stacks_first_then_frames_their_source_lines() {
    let report = crowd(100, 20, &[]);
    let whole = json(&report).len();
    let (short, _) = fitted(&report, whole - 1);
    assert_eq!((stacks(&short), threads(&short).count(), short.frames.len()), (60, 100, 60));
    let mut short = short;
    while stacks(&short) > 20 {
        short = fitted(&report, json(&short).len() - 1).0;
    }
    assert_eq!((stacks(&short), threads(&short).count(), short.frames.len()), (20, 100, 20));
    assert!(short.frames.iter().all(|frame| frame.source.is_some()));
    let idle = threads(&short).last().unwrap().stack.incomplete.as_deref().unwrap();
    assert!(idle.starts_with("left out, because the report is limited to"), "{idle}");
    let [note] = &short.heading.notes[..] else { panic!("{:?}", short.heading.notes) };
    assert!(note.ends_with("; left out: 80 stacks of idle threads"), "{note}");

    let (shorter, _) = fitted(&report, json(&short).len() - 1);
    assert_eq!(stacks(&shorter), 20);
    assert!(shorter.frames.iter().all(|frame| frame.source.is_none()));
    let [note] = &shorter.heading.notes[..] else { panic!("{:?}", shorter.heading.notes) };
    assert!(note.ends_with("; left out: 80 stacks of idle threads; source lines"), "{note}");
}

#[test]
fn threads_of_a_finding_stay() {
    let report = crowd(400, 400, &[finding()]);
    let (short, _) = fitted(&report, 16 << 10);
    assert!(threads(&short).count() < 400);
    assert_eq!(stacks(&short), 1);
    let thread = threads(&short).find(|thread| thread.tid == 77).unwrap();
    assert_eq!(frames(&thread.stack, &short)[0].address, 76);
    let Content::Threads(value) = &short.sections[0].content else { panic!("{short}") };
    assert!(value.notes[0].starts_with("some are left out"), "{:?}", value.notes);
}

#[test]
fn what_cannot_be_smaller_is_whole() {
    let report = read(&[], &[], &[finding()]);
    assert_eq!(fitted(&report, 1).0, report);
    let (short, _) = fitted(&crowd(400, 400, &[]), 100);
    assert_eq!(short.sections, []);
    assert!(short.heading.notes[0].ends_with("the section Threads"), "{:?}", short.heading.notes);
}
