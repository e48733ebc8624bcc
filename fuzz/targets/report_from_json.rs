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
        // A frame can be shown any number of times, as 2 KiB. The page has its style and script,
        // and the drawing of the stacks.
        let most = match format {
            Format::Text => (16 << 10) * (json.len() + 1),
            Format::Html => 8 << 20,
            _ => 400 * (json.len() + 1),
        };
        assert!(bytes.len() <= most, "{} bytes of {format} of {} bytes", bytes.len(), json.len());
    }
    let again = Report::from_json(&report.to_json()).expect("what is written can be read");
    assert_eq!(again, report);
});
