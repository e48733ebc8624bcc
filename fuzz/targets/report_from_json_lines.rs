//! A log with lines of a report: reading never panics, whatever the lines say of their number and
//! order, and what can be read is written as lines that make the same report.

#![no_main]

use gmr_runtime::Report;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|log: &str| {
    let Ok(report) = Report::from_json_lines(log) else { return };
    let again = Report::from_json_lines(&report.to_json_lines()).expect("what is written can be read");
    assert_eq!(again, report);
});
