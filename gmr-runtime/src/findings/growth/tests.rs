//! Counts of several reports, and what has grown in them.

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::findings::tests::{codes, section, thread};
use crate::findings::{Seen, count_all, find};
use crate::model::{Content, Frame, Section, Stack, Thread, Threads};

fn frames() -> Vec<Frame> {
    let frame =
        |(address, name): (u64, &str)| Frame { address, function: Some(name.to_owned()), ..Frame::default() };
    [(16, "std::thread::park"), (32, "shop::serve"), (48, "shop::sell")].map(frame).into()
}

/// A report with this many threads in each of two functions.
fn threads(serve: u32, sell: u32) -> Vec<Section> {
    let stacks = [1, 2].map(|frame| Stack { frames: Arc::new([0, frame]), ..Stack::default() });
    let with = |tid: u32| {
        let stack = stacks[usize::from(tid > serve)].clone();
        Thread { stack, ..thread(tid, "w") }
    };
    let threads = (1..=serve + sell).map(with).collect();
    vec![section("Threads", Content::Threads(Threads { threads, ..Threads::default() }))]
}

/// The counts of reports that were made that many seconds after the first.
fn past(reports: &[(u64, Vec<Section>)]) -> Vec<Counts> {
    let start = Instant::now();
    let counts = |(seconds, sections): &(u64, Vec<Section>)| Counts {
        at: start + Duration::from_secs(*seconds),
        ..count_all(sections, &frames())
    };
    reports.iter().map(counts).collect()
}

/// What has grown in the last of these reports.
fn growth(reports: &[(u64, Vec<Section>)]) -> Vec<Finding> {
    let (_, last) = reports.last().unwrap();
    let findings = find(last, &frames(), &Seen::default(), &past(reports));
    assert!(findings.iter().all(|finding| finding.severity == Severity::Info));
    findings
}

#[test]
fn more_threads_with_the_same_stack_are_found_with_their_place() {
    let findings = growth(&[(0, threads(1, 3)), (60, threads(40, 3)), (603, threads(2_000, 3))]);
    assert_eq!(codes(&findings), ["process.growth"]);
    let expected = "the process has grown: 1999 more threads with the same stack than 10 min 3 s ago";
    assert_eq!(findings[0].message, expected);
    assert_eq!(findings[0].threads.len(), 2_000);
    let evidence = &findings[0].evidence[0];
    assert_eq!((evidence.thread, evidence.frame), (Some(1), Some(1)));
    assert_eq!(evidence.message, "2000 threads with the same stack (10 min 3 s ago: 1)");
}

#[test]
fn what_has_not_grown_much_is_not_found() {
    assert_eq!(growth(&[(0, threads(10, 3))]), [], "the first report");
    assert_eq!(growth(&[(0, threads(10, 3)), (60, threads(59, 3))]), [], "not by fifty");
    assert_eq!(growth(&[(0, threads(100, 3)), (60, threads(199, 3))]), [], "not twice as much");
    assert_eq!(growth(&[(0, threads(100, 3)), (60, threads(3, 100))]).len(), 1, "another stack");
}

#[test]
fn a_number_is_compared_with_the_first_since_which_it_has_not_shrunk() {
    let reports = [(0, 10), (10, 300), (20, 100), (30, 150), (40, 200)];
    let counts = past(&reports.map(|(seconds, serve)| (seconds, threads(serve, 0))));
    let grown = grown(&counts, 50, |counts| counts.threads).unwrap();
    assert_eq!(grown, Grown { now: 200, before: 100, ago: Duration::from_secs(20) });
}

#[test]
fn what_grew_more_than_an_hour_ago_is_no_news() {
    let hour = 3_600;
    let reports = [(0, threads(10, 0)), (10, threads(300, 0)), (hour + 10, threads(300, 0))];
    assert_eq!(growth(&reports), []);
    assert_eq!(growth(&reports[..2]).len(), 1);
}

#[test]
fn threads_of_different_stacks_are_found_as_threads() {
    let many = |count: u32| {
        let threads = (0..count).map(|tid| {
            let stack = Stack { frames: Arc::new([tid]), ..Stack::default() };
            Thread { stack, ..thread(tid, "w") }
        });
        vec![section(
            "Threads",
            Content::Threads(Threads { threads: threads.collect(), ..Threads::default() }),
        )]
    };
    let frames: Vec<Frame> = (0..100)
        .map(|address| Frame { address, function: Some("f::g".into()), ..Frame::default() })
        .collect();
    let counts: Vec<Counts> = [10, 90].map(|count| count_all(&many(count), &frames)).into();
    let findings = find(&many(90), &frames, &Seen::default(), &counts);
    assert_eq!(codes(&findings), ["process.growth"]);
    assert!(findings[0].message.contains("80 more threads than"), "{findings:?}");
    // What is kept of a report is bounded, and what is not known is not taken for none.
    assert!(counts[1].stacks.len() < 90);
    assert_eq!((counts[0].with_stack(1), counts[1].with_stack(1)), (Some(0), None));
}
