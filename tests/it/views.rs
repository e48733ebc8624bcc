//! One report in every format, each read back by parsers that are not ours: the same threads, frames and groups.

use std::path::{Path, PathBuf};
use std::process::Command;

use gmr::Report;
use rustix::process::Signal;

use crate::program::{Program, program};

/// A folder of its own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gmr-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).expect("it was written")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_view_says_the_same() {
    let Some(python) = std::env::var_os("GMR_TEST_PYTHON") else {
        return eprintln!("skipped: no Python with jsonschema and lxml; `cargo xtask test` provides it");
    };
    let folder = Folder::new("views");
    let mut program = Program::start(program!("views"));
    assert_eq!(program.ask(&folder.0.display().to_string()), "written");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python)
        .arg(tests.join("it/views.py"))
        .args([&folder.0, &tests.join("../docs")])
        .output()
        .expect("it runs");
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.starts_with("alike: "), "{said}{complaint}");
}

#[test]
fn a_report_is_read_back_from_its_file() {
    let folder = Folder::new("files");
    let mut program = Program::start(program!("views"));
    assert_eq!(program.ask(&folder.0.display().to_string()), "written");
    let report = Report::from_json(&folder.read("report.json")).expect("a report");
    assert_eq!(Report::from_json_lines(&folder.read("report.json-lines")).expect("a report"), report);
    for (format, written) in
        [("text", report.to_text()), ("xml", report.to_xml()), ("html", report.to_html())]
    {
        assert!(
            folder.read(&format!("report.{format}")) == written,
            "{format} from a file as from the process"
        );
    }
}

/// The report of one signal, as far as the line that this is the end of.
fn signalled(format: &str, is_end: fn(&str) -> bool) -> String {
    let mut command = Command::new(program!("views"));
    command.env("GMR_FORMAT", format);
    let mut program = Program::start_with(command);
    program.signal(Signal::USR2);
    let mut text = String::new();
    while !text.lines().last().is_some_and(is_end) {
        text.push_str(&program.next_error_line());
    }
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status} {rest}");
    text
}

#[test]
fn the_operator_chooses_the_format() {
    let json = signalled("json", |_| true);
    assert_eq!(Report::from_json(&json).expect("a report").heading.number, 1);
    let lines = signalled("json-lines", |line| {
        let piece: serde_json::Value = serde_json::from_str(line).expect("JSON");
        piece["part"] == piece["parts"]
    });
    assert_eq!(Report::from_json_lines(&lines).expect("a report").heading.number, 1);
    let xml = signalled("xml", |line| line == "</report>");
    assert!(xml.starts_with("<?xml"), "{xml}");
    let page = signalled("html", |line| line.ends_with("</html>"));
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
}

#[test]
fn a_format_that_is_none_is_told_and_text_is_written() {
    let mut command = Command::new(program!("views"));
    command.env("GMR_FORMAT", "yaml");
    let mut program = Program::start_with(command);
    let warning = program.next_error_line();
    assert_eq!(
        warning,
        "gmr: warning: GMR_FORMAT: unknown report format `yaml`; expected one of text, json, json-lines, xml, html; reports are written as text\n"
    );
    assert_eq!(program.report().number(), 1);
}
