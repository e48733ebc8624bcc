//! One report in every format, each read back by parsers that are not ours: the same threads,
//! frames and groups.

use std::path::{Path, PathBuf};
use std::process::Command;

use gmr::Report as Read;
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Program, program, wait_until};
use crate::report::{Report, list};
use crate::text::Text;
use crate::tools;

/// A folder of its own, which is removed on drop.
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

    /// Has a program write one report here, in every format, with all stacks and names.
    fn fill(&self) {
        let mut program = Program::start(program!("views"));
        wait_until("a report with all stacks and names", || {
            assert_eq!(program.ask(&self.0.display().to_string()), "written");
            let report = Report::parse(&self.read("report.json"));
            let tasks = report.data("Green Threads", "green_threads");
            report.is_complete() && list(&tasks["notes"]).is_empty()
        });
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_view_says_the_same() {
    let Some(python) = tools::python_with_modules() else {
        return tools::missing("Python with jsonschema and lxml");
    };
    let folder = Folder::new("views");
    folder.fill();
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

/// gmr's own readers, which are what is tested here.
#[test]
fn a_report_is_read_back_from_its_file() {
    let folder = Folder::new("files");
    folder.fill();
    let report = Read::from_json(&folder.read("report.json")).expect("a report");
    assert_eq!(Read::from_json_lines(&folder.read("report.json-lines")).expect("a report"), report);
    for (format, written) in
        [("text", report.to_text()), ("xml", report.to_xml()), ("html", report.to_html())]
    {
        assert!(
            folder.read(&format!("report.{format}")) == written,
            "{format} from a file as from the process"
        );
    }
}

fn start(format: &str) -> Program {
    let mut command = Command::new(program!("views"));
    command.env("GMR_FORMAT", format);
    Program::start_with(command)
}

/// The report of one signal, up to the line that is its last.
fn signalled(format: &str, is_end: fn(&str) -> bool) -> String {
    let mut program = start(format);
    program.signal(Signal::USR2);
    let mut text = String::new();
    while !text.lines().last().is_some_and(is_end) {
        let line = program.next_error_line();
        assert!(!line.is_empty(), "the end of standard error before that of the report:\n{text}");
        text.push_str(&line);
    }
    let (status, rest) = program.end();
    assert!(status.success() && rest.is_empty(), "{status} {rest}");
    text
}

/// Puts the pieces of JSON lines together.
pub(crate) fn together(lines: &str) -> Report {
    let mut pieces: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    pieces.sort_by_key(|piece| piece["part"].as_u64());
    assert!(pieces.iter().all(|piece| piece["parts"] == pieces.len()), "{lines}");
    Report::parse(&pieces.iter().map(|piece| piece["json"].as_str().expect("text")).collect::<String>())
}

#[test]
fn the_operator_chooses_the_format() {
    let json = signalled("json", |_| true);
    assert_eq!(Report::parse(&json).number(), 1);
    let lines = signalled("json-lines", |line| {
        let piece: Value = serde_json::from_str(line).expect("JSON");
        piece["part"] == piece["parts"]
    });
    assert_eq!(together(&lines).number(), 1);
    let xml = signalled("xml", |line| line == "</report>");
    assert!(xml.starts_with("<?xml"), "{xml}");
    let page = signalled("html", |line| line.ends_with("</html>"));
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
}

#[test]
fn an_unknown_format_costs_a_warning_and_text_is_written() {
    let mut program = start("yaml");
    let warning = program.next_error_line();
    assert!(warning.starts_with("gmr: ") && warning.contains("GMR_FORMAT"), "{warning}");
    for name in ["`yaml`", "text", "json", "json-lines", "xml", "html"] {
        assert!(warning.contains(name), "no {name} in {warning}");
    }
    program.signal(Signal::USR2);
    assert_eq!(Text::parse(&Text::read(&mut program)).number(), 1);
}

/// A report in at most so many bytes.
fn limited(format: &str, limit: &str) -> String {
    let mut command = Command::new(program!("views"));
    command.env("GMR_FORMAT", format).env("GMR_MAX_BYTES", limit);
    let mut program = Program::start_with(command);
    program.signal(Signal::USR2);
    match format {
        "text" => Text::read(&mut program),
        _ => program.next_error_line(),
    }
}

#[test]
fn a_report_is_as_small_as_the_operator_wants_and_says_what_it_lacks() {
    let limit = 24 << 10;
    let whole = limited("json", "100MiB");
    let report = Report::parse(&whole);
    assert!(whole.len() > limit, "{} bytes", whole.len());
    assert_eq!(list(&report.heading()["notes"]).len(), 0, "{report}");
    assert_eq!(
        list(&report.heading()["notes"]),
        list(&Report::parse(&limited("json", "off")).heading()["notes"])
    );

    let short = limited("json", "24KiB");
    assert!(short.len() <= limit, "{} bytes", short.len());
    let report = Report::parse(&short);
    let [note] = list(&report.heading()["notes"]) else { panic!("{report}") };
    let note = note.as_str().expect("text");
    assert!(note.contains("24.0 KiB") && note.contains("left out"), "{note}");
    assert_eq!(report.package()["product"], "views");

    let text = limited("text", "24KiB");
    assert!(text.len() <= limit, "{} bytes", text.len());
    assert_eq!(Text::parse(&text).number(), 1);
}
