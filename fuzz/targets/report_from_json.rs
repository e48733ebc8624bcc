//! Reports from untrusted JSON: reading never panics, and what can be read can be written in every
//! format and read again.

#![no_main]

use gmr_runtime::{Format, Report};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let Ok(report) = Report::from_json(json) else { return };
    for format in [Format::Text, Format::Json, Format::JsonLines, Format::Xml, Format::Html] {
        let mut bytes = Vec::new();
        report.write_to(&mut bytes, format).expect("a vector takes all bytes");
    }
    let again = Report::from_json(&report.to_json()).expect("what is written can be read");
    assert_eq!(again, report);
});
