//! A program that changes what its standard error is: it redirects it to a log, or closes it, so
//! that its next file gets the number. With `as-it-is`, it changes nothing. The first argument says
//! which. Its report is longer than a pipe's capacity.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;

fn file() -> File {
    let path = std::env::temp_dir().join(format!("gmr-standard-error-{}", std::process::id()));
    let file = File::options().create_new(true).read(true).append(true).open(&path);
    std::fs::remove_file(&path).expect("it exists");
    file.expect("the directory can be written to")
}

fn main() {
    let builder = gmr::Builder::new().format(gmr::Format::Json);
    builder.section("Long", || "long ".repeat(64 << 10)).install().expect("it is installed once").keep();
    let mode = std::env::args().nth(1).unwrap_or_default();
    let mut reader = match mode.as_str() {
        "as-it-is" => File::open("/dev/null").expect("it exists"),
        "log" => {
            let path = std::env::temp_dir().join(format!("gmr-log-{}", std::process::id()));
            let log = File::options().create_new(true).append(true).open(&path).expect("it can be made");
            rustix::stdio::dup2_stderr(&log).expect("it is open");
            let reader = File::open(&path).expect("it exists");
            std::fs::remove_file(&path).expect("it exists");
            reader
        }
        "own" => {
            // SAFETY: this program does not write to its standard error from here on.
            unsafe { libc::close(2) };
            let own = file();
            assert_eq!(own.as_raw_fd(), 2, "the lowest number that is free");
            own
        }
        _ => panic!("an unknown mode: {mode}"),
    };
    gmr_tests::converse(|question| match question {
        "capture" => serde_json::to_string(&gmr::Report::capture()).expect("a report is JSON"),
        "what is in the file?" | "what is in the log?" => {
            let mut text = String::new();
            reader.read_to_string(&mut text).expect("it can be read");
            text.trim_end().to_owned()
        }
        _ => panic!("an unknown question: {question}"),
    });
}
