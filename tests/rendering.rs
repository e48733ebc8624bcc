//! How much memory it takes to write a report down, counted by an allocator.
//!
//! A test binary of its own, since it has that allocator.

#[path = "it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;

use gmr::Report;

use crate::program::{Program, program};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// The report of a program with a thousand threads.
fn report_of_a_crowd(different: bool) -> Report {
    let mut command = std::process::Command::new(program!("crowd"));
    command.args(["1000", "30"]).args(different.then_some("different")).env("GMR_FORMAT", "json");
    let mut program = Program::start_with(command);
    program.signal(rustix::process::Signal::USR2);
    Report::from_json(&program.next_error_line()).expect("a report")
}

type View = fn(&Report) -> String;

#[test]
fn a_report_is_written_in_twice_the_memory_of_what_is_written() {
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
            let profiler = dhat::Profiler::builder().testing().build();
            let written = write(&report).len();
            let most = dhat::HeapStats::get().max_bytes;
            drop(profiler);
            println!("{name}, {}: {written} bytes in {most}", if different { "different" } else { "alike" });
            assert!(most <= 2 * written, "{name}: {written} bytes in {most}");
        }
    }
}
