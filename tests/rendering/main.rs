//! How much memory it takes to make a report and to write it, counted by an allocator.
//!
//! A test binary of its own, since it has that allocator.

mod counted;
#[path = "../it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "../it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;
mod shapes;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gmr::model::{Content, Value};
use gmr::{Format, Report};
use object::{Object, ObjectSection};

use crate::counted::most;
use crate::program::{Program, program, wait_until};
use crate::report::Report as Read;
use crate::shapes::{Schema, Shape};

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
}

/// How much any values may take while they are read. `docs/report-schema.md` says so.
const ALWAYS: usize = 8 << 20;

/// A document with this content of its only section, and with these findings and frames.
fn document(content: &str, findings: &str, frames: &str) -> String {
    let heading = r#"{"number":1,"made_at":"","pid":7,"trigger":{"kind":"api"},"notes":[]}"#;
    let summary = r#"{"number":1,"sections":1,"failed":0,"threads":0,"took_us":1}"#;
    format!(
        r#"{{"schema_version":"1.3","heading":{heading},"findings":[{findings}],"sections":[{{"title":"A","took_us":1,"content":{content}}}],"frames":[{frames}],"summary":{summary}}}"#
    )
}

/// What a document mostly is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Values,
    Other,
}

#[test]
fn no_shape_of_a_document_takes_many_times_its_length() {
    let _turn = alone();
    // Values take more than is always allowed.
    let many_values = |item: &str| vec![item; (2 << 20) / (item.len() + 1)].join(",");
    let many = |item: &str| vec![item; (256 << 10) / (item.len() + 1)].join(",");
    let values = ["7", r#""""#, "[]", "{}", "[7]", r#"{"":7}"#, r#""a""#, "1234567", "null"];
    let mut documents: Vec<(String, Kind)> = Vec::new();
    for value in values {
        let list = format!("[{}]", many_values(value));
        documents.push((document(&format!(r#"{{"kind":"fields","data":{list}}}"#), "", ""), Kind::Values));
        documents.push((document(&format!(r#"{{"data":{list},"kind":"fields"}}"#), "", ""), Kind::Values));
    }
    let escaped = format!(r#"{{"d\u0061ta":[{}],"kind":"fields"}}"#, many_values("[]"));
    documents.push((document(&escaped, "", ""), Kind::Values));
    let keys = many_values(r#""a":7"#);
    documents.push((document(&format!(r#"{{"kind":"fields","data":{{{keys}}}}}"#), "", ""), Kind::Values));
    let groups = many_values(r#"{"title":"","content":{"data":[7,7,7,7],"kind":"fields"}}"#);
    documents
        .push((document(&format!(r#"{{"data":[{groups}],"kind":"configuration"}}"#), "", ""), Kind::Values));
    let frame = r#"{"address":1,"inlined":false}"#;
    let references = many("0");
    let stack = r#"{"frames":[0,0,0]}"#;
    let thread = format!(r#"{{"tid":1,"name":"","role":"main","stack":{stack}}}"#);
    let task = format!(
        r#"{{"id":1,"name":"","spawned_at":"","age_ms":1,"polls":1,"labels":[],"state":{{"kind":"new"}},"stacks":[{stack}]}}"#
    );
    let of_threads = |threads: &str, notes: &str| {
        format!(r#"{{"kind":"threads","data":{{"threads":[{threads}],"notes":[{notes}]}}}}"#)
    };
    let one = format!(r#"{{"tid":1,"name":"","role":"main","stack":{{"frames":[{references}]}}}}"#);
    let ignored = format!(r#"{{"kind":"new","more":[{}]}}"#, many("7"));
    let tasks = |tasks: &str| {
        format!(r#"{{"kind":"green_threads","data":{{"tasks":[{tasks}],"runtimes":[],"notes":[]}}}}"#)
    };
    let finding = format!(
        r#"{{"code":"","severity":"info","message":"","threads":[{}],"tasks":[{}]}}"#,
        many("1"),
        many("1")
    );
    for (json, kind) in [
        (document(&of_threads(&many(&thread), ""), "", frame), Kind::Other),
        (document(&of_threads(&one, ""), "", frame), Kind::Other),
        (document(&of_threads("", &many(r#""some note""#)), "", ""), Kind::Other),
        (document(&tasks(&many(&task)), "", frame), Kind::Other),
        (document(&tasks(&task.replace(r#"{"kind":"new"}"#, &ignored)), "", frame), Kind::Other),
        (document(&of_threads("", ""), &finding, ""), Kind::Other),
        (document(&of_threads("", ""), "", &many(frame)), Kind::Other),
    ] {
        documents.push((json, kind));
    }
    let (mut read, mut refused) = (0, 0);
    for (json, kind) in documents {
        let mut result = None;
        let most = most(|| result = Some(Report::from_json(&json)));
        let shown = &json[json.find(r#""title":"A""#).expect("a section")..][..100];
        println!("{} bytes in {most}: {shown}", json.len());
        let allowed = match kind {
            Kind::Values => 10 * json.len() + ALWAYS,
            Kind::Other => 10 * json.len(),
        };
        assert!(most <= allowed, "{} bytes in {most}: {shown}", json.len());
        match result.expect("a result") {
            Ok(_) => read += 1,
            Err(error) => {
                let error = error.to_string();
                assert!(
                    kind == Kind::Values && error.contains("times their text in memory at /sections/0/"),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert!(read > 9 && refused > 9, "{read} are read, {refused} are refused");
}

fn schema() -> Schema {
    let schema = include_str!("../../docs/report.schema.json");
    Schema::new(serde_json::from_str(schema).expect("a schema"))
}

/// A document of the current version, with a frame, to which stacks refer.
fn completed(json: &str) -> String {
    const FRAME: &str = r#""frames":[{"address":0,"inlined":false}],"sections""#;
    let json = json.replacen(r#""schema_version":"""#, r#""schema_version":"1.3""#, 1);
    json.replacen(r#""frames":[],"sections""#, FRAME, 1)
}

const FORMATS: [Format; 5] = [Format::Text, Format::Json, Format::JsonLines, Format::Xml, Format::Html];

/// How many times its length a document may take while it is read, and a report of it while it is
/// written, besides what is written.
const READ: usize = 10;
const WRITTEN: usize = 10;

/// What even the shortest document takes while it is read, and while it is written.
const READER: usize = 4 << 10;
const WRITER: usize = 64 << 10;

/// Every view of the report, which is what this document has, takes little more than the document.
fn is_written(report: &Report, json: &str, what: &str) {
    for format in FORMATS {
        let most = most(|| report.write_to(io::sink(), format).expect("a sink takes all"));
        let allowed = WRITTEN * json.len() + WRITER;
        assert!(most <= allowed, "{format}, {} bytes in {most}: {what}", json.len());
    }
}

#[test]
fn no_shape_of_the_schema_takes_many_times_its_length() {
    let _turn = alone();
    let mut read = 0;
    // One item more than there is space for: a list that grows by doubling has most to spare.
    for Shape { list, item, json } in schema().shapes(|item| ((4 << 10) / item).next_power_of_two() + 1) {
        let json = completed(&json);
        let mut result = None;
        let reading = most(|| result = Some(Report::from_json(&json)));
        let allowed = match (&*list, &*item) {
            // What these may take is limited, as that of values is.
            (_, r#""""#) => READ * json.len() + (1 << 20),
            // A report has one package. A list of them that have nothing takes a little more.
            ("/sections", item) if item.contains(r#""package""#) => (READ + 3) * json.len() + READER,
            _ => READ * json.len() + READER,
        };
        assert!(reading <= allowed, "{} bytes in {reading}: {list} of {item}", json.len());
        let Ok(report) = result.expect("a result") else { continue };
        read += 1;
        is_written(&report, &json, &format!("{list} of {item}"));
    }
    assert!(read > 500, "{read}");
}

/// Threads with these stacks, of two frames with long names.
fn threads(stacks: &[Vec<usize>]) -> String {
    let name = "&".repeat(2 << 10);
    let frame = |address| {
        format!(
            r#"{{"address":{address},"function":"{name}","file":"{name}","line":1,"source":"{name}","inlined":false}}"#
        )
    };
    let thread = |stack| format!(r#"{{"tid":1,"name":"","role":"main","stack":{{"frames":{stack:?}}}}}"#);
    let threads = stacks.iter().map(thread).collect::<Vec<_>>().join(",");
    let content = format!(r#"{{"kind":"threads","data":{{"threads":[{threads}],"notes":[]}}}}"#);
    document(&content, "", &[frame(1), frame(2)].join(","))
}

/// What is short in a document and long in a view.
#[test]
fn a_view_does_not_keep_what_it_writes() {
    let _turn = alone();
    let fields = |data: String| document(&format!(r#"{{"kind":"fields","data":{data}}}"#), "", "");
    let of_two = |length: usize| (0..length).map(|index| index % 2).collect::<Vec<_>>();
    let task = |stacks: &str| {
        let task = format!(
            r#"{{"id":1,"name":"","spawned_at":"","age_ms":1,"polls":1,"labels":[],"state":{{"kind":"new"}},"stacks":[{stacks}]}}"#
        );
        let content =
            format!(r#"{{"kind":"green_threads","data":{{"tasks":[{task}],"runtimes":[],"notes":[]}}}}"#);
        document(&content, "", r#"{"address":1,"inlined":false},{"address":2,"inlined":false}"#)
    };
    let branch = format!(r#"{{"frames":{:?}}}"#, of_two(20_000)).replace(' ', "");
    let overdue = format!(r#"{{"tid":7,"running_ms":1,"stack":{branch}}}"#);
    let finding = |threads: &str, evidence: &str| {
        format!(
            r#"{{"code":"","severity":"info","message":"","threads":[{threads}],"tasks":[],"evidence":[{evidence}]}}"#
        )
    };
    let name = "&".repeat(2 << 10);
    let named = format!(r#"{{"address":1,"function":"{name}","file":"{name}","line":1,"inlined":false}}"#);
    let evidence = vec![r#"{"message":"","frame":0}"#; 500].join(",");
    let all = [
        ("a deep stack of two functions", threads(&[of_two(20_000)])),
        ("200 frames", threads(&[of_two(200)])),
        (
            "stacks that differ",
            threads(
                &(0..300)
                    .map(|number| (0..60).map(|bit| number >> (bit % 11) & 1).collect())
                    .collect::<Vec<_>>(),
            ),
        ),
        ("branches", task(&[&*branch, &branch].join(","))),
        ("short branches", task(&vec![r#"{"frames":[0]},{"frames":[1]}"#; 1000].join(","))),
        (
            "a section that is stuck",
            document(
                &format!(r#"{{"kind":"still_running","data":{overdue}}}"#),
                "",
                r#"{"address":1,"inlined":false},{"address":2,"inlined":false}"#,
            ),
        ),
        ("nested lists", fields("[".repeat(100) + &vec!["7"; 2000].join(",") + &"]".repeat(100))),
        ("lists in lists", fields(format!("[{}]", vec!["[[7]]"; 1000].join(",")))),
        ("a line", fields(format!("{:?}", "&".repeat(64 << 10)))),
        ("evidence", document(r#"{"kind":"nothing"}"#, &finding("", &evidence), &named)),
        (
            "one thread again and again",
            document(r#"{"kind":"nothing"}"#, &finding(&vec!["1"; 20_000].join(","), ""), ""),
        ),
        (
            "many threads",
            document(
                r#"{"kind":"nothing"}"#,
                &finding(&(0..20_000).map(|tid| tid.to_string()).collect::<Vec<_>>().join(","), ""),
                "",
            ),
        ),
    ];
    for (what, json) in all {
        let json = json.replace(", ", ",");
        let report = Report::from_json(&json).expect("a report");
        is_written(&report, &json, what);
    }
}

#[test]
fn lists_of_strings_that_take_many_times_their_text_are_refused() {
    let _turn = alone();
    let shapes = schema().shapes(|item| if item == r#""","#.len() { 400_000 } else { 0 });
    let mut refused = 0;
    for Shape { list, json, .. } in shapes.iter().filter(|shape| shape.item == r#""""#) {
        let json = completed(json);
        let mut result = None;
        let reading = most(|| result = Some(Report::from_json(&json)));
        assert!(reading <= READ * json.len() + ALWAYS, "{list}: {} bytes in {reading}", json.len());
        let error = result.expect("a result").expect_err("it is refused").to_string();
        assert!(error.contains(&format!("times their text in memory at {list}/")), "{error}");
        refused += 1;
    }
    assert!(refused > 8, "{refused}");
}

/// What a page takes besides what it shows: its style, its scripts, and the markup around data.
const PAGE: usize = 1 << 20;

#[test]
fn a_text_of_any_length_is_cut_on_the_page() {
    let _turn = alone();
    let mut shown = 0;
    // Five bytes of a page for each.
    for (path, json) in schema().texts(&"&".repeat(PAGE / 5 + 1)) {
        let Ok(report) = Report::from_json(&completed(&json)) else { continue };
        let page = report.to_html();
        // It has all of it, in a byte for each.
        let data = page.find(r#"<script type="application/json""#).expect("the report is in the page");
        let data_end = page[data..].find("</script>").expect("its end");
        let page = page.len() - data_end;
        assert!(page < PAGE, "{path}: {page} bytes");
        shown += 1;
    }
    assert!(shown > 100, "{shown}");
}

#[test]
fn what_a_section_can_have_is_read() {
    // What it allocates must not count in another test.
    let _turn = alone();
    let numbers = vec!["7"; 100_000].join(",");
    let json = document(&format!(r#"{{"data":[{numbers}],"kind":"fields"}}"#), "", "");
    let report = Report::from_json(&json).expect("a report");
    let Content::Fields(Value::List(values)) = &report.sections[0].content else { panic!("not a list") };
    assert_eq!(values.len(), 100_000);
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
