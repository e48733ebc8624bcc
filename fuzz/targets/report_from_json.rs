//! Reports from untrusted JSON: reading never panics, and what can be read can be written in every
//! format, in little memory, and read again.

#![no_main]

#[path = "../../tests/rendering/counted.rs"]
mod counted;

use std::io::{self, Write};

use gmr_runtime::{Format, Report};
use libfuzzer_sys::fuzz_target;

/// What is written takes no memory.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|json: &str| {
    let Ok(report) = Report::from_json(json) else { return };
    for format in [Format::Text, Format::Json, Format::JsonLines, Format::Xml, Format::Html] {
        let mut length = Length(0);
        let memory = counted::most(|| report.write_to(&mut length, format).expect("it takes all bytes"));
        let Length(length) = length;
        // A frame can be shown any number of times, as 2 KiB. The page has its style and script,
        // and the drawing of the stacks.
        let most = match format {
            Format::Text => (16 << 10) * (json.len() + 1),
            Format::Html => 8 << 20,
            _ => 400 * (json.len() + 1),
        };
        assert!(length <= most, "{length} bytes of {format} of {} bytes", json.len());
        // As `docs/report-schema.md` promises.
        let most = 10 * json.len() + (64 << 10);
        assert!(memory <= most, "{format} of {} bytes in {memory}", json.len());
    }
    let again = Report::from_json(&report.to_json()).expect("what is written can be read");
    assert_eq!(again, report);
});
