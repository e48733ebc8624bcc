//! How much memory it takes to make a report and to write it, counted by an allocator.
//!
//! A test binary of its own, since it has that allocator.

#[path = "it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;

use std::sync::{Mutex, MutexGuard, PoisonError};

use gmr::Report;
use gmr::model::{Content, Value};
use object::{Object, ObjectSection};

use crate::program::{Program, program, wait_until};
use crate::report::Report as Read;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The report of a program with a thousand threads.
fn report_of_a_crowd(different: bool) -> Report {
    let mut command = std::process::Command::new(program!("crowd"));
    command.args(["1000", "30"]).args(different.then_some("different"));
    let mut program = Program::start_with(command);
    let report = program.report_when("all stacks and names", Read::is_complete);
    Report::from_json(&report.to_string()).expect("a report")
}

/// The allocator counts for one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most that was allocated at any time.
fn most(of: impl FnOnce()) -> usize {
    let profiler = dhat::Profiler::builder().testing().build();
    of();
    let most = dhat::HeapStats::get().max_bytes;
    drop(profiler);
    most
}

#[test]
fn the_tables_of_the_program_are_not_in_its_allocator() {
    let _turn = alone();
    // The first one resolves symbols as well, which it remembers. On a busy machine, this may take
    // several reports.
    wait_until("all functions have their names", || {
        Read::new(serde_json::to_value(Report::capture()).expect("JSON")).has_all_names()
    });
    let most = most(|| drop(Report::capture()));
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let program = object::File::parse(&*program).unwrap();
    let tables = program.section_by_name(".eh_frame").unwrap().size();
    println!("{most} bytes allocated, {tables} bytes of tables");
    assert!((most as u64) < tables, "{most} bytes allocated, {tables} bytes of tables");
}

#[test]
fn a_report_is_read_in_ten_times_its_length() {
    let _turn = alone();
    for different in [false, true] {
        let json = report_of_a_crowd(different).to_json();
        let lines = Report::from_json(&json).expect("a report").to_json_lines();
        let of_json = most(|| drop(Report::from_json(&json).expect("a report")));
        let of_lines = most(|| drop(Report::from_json_lines(&lines).expect("a report")));
        println!("{} bytes of JSON in {of_json}, as lines in {of_lines}", json.len());
        assert!(of_json.max(of_lines) <= 10 * json.len(), "{} bytes in {of_json}, {of_lines}", json.len());
    }
    // The least bytes for the most memory: two bytes make a value of 32, in a list that grows by a
    // quarter. `docs/report-schema.md` says so.
    let mut report = report_of_a_crowd(false);
    let numbers = vec![Value::Unsigned(7); 1_000_000];
    report.sections.iter_mut().for_each(|section| section.content = Content::Nothing);
    report.sections[0].content = Content::Fields(Value::List(numbers));
    report.frames.clear();
    report.findings.clear();
    let numbers = report.to_json();
    let of_numbers = most(|| drop(Report::from_json(&numbers).expect("a report")));
    println!("{} bytes of numbers in {of_numbers}", numbers.len());
    assert!(of_numbers <= 20 * numbers.len(), "{} bytes in {of_numbers}", numbers.len());
    // What comes before its kind, as in JSON with sorted keys, is read a second time from a copy.
    let sorted = numbers.replacen(r#""kind":"fields","data":"#, r#""data":"#, 1);
    let sorted = sorted.replacen("7]}", r#"7],"kind":"fields"}"#, 1);
    let of_sorted = most(|| drop(Report::from_json(&sorted).expect("a report")));
    println!("{} bytes of numbers before their kind in {of_sorted}", sorted.len());
    assert!(of_sorted <= 52 * sorted.len(), "{} bytes in {of_sorted}", sorted.len());
}

type View = fn(&Report) -> String;

/// What grouping keeps about a thousand threads. Written, a group is a few lines.
const GROUPS: usize = 16 << 10;

#[test]
fn a_report_is_written_in_twice_the_memory_of_what_is_written() {
    let _turn = alone();
    for different in [false, true] {
        let report = report_of_a_crowd(different);
        let views: [(&str, View); 5] = [
            ("text", Report::to_text),
            ("JSON", Report::to_json),
            ("JSON lines", Report::to_json_lines),
            ("XML", Report::to_xml),
            ("HTML", Report::to_html),
        ];
        for (name, write) in views {
            let mut written = 0;
            let most = most(|| written = write(&report).len());
            println!("{name}, {}: {written} bytes in {most}", if different { "different" } else { "alike" });
            assert!(most <= 2 * written + GROUPS, "{name}: {written} bytes in {most}");
        }
    }
}
