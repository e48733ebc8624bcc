//! `gmr view`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use gmr_runtime::{Format, Report};
use serde_json::Value;

use crate::service::{Service, file, folder, gmr, gmr_on, list};

#[test]
fn a_saved_report_is_shown_in_each_format() {
    let mut service = Service::start();
    service.tell("pay");
    let text = service.report();
    let report = Report::from_json(&text).expect("a report");
    let path = file(&folder("formats"), "report.json", &text);
    for (name, format) in [
        ("text", Format::Text),
        ("json", Format::Json),
        ("json-lines", Format::JsonLines),
        ("xml", Format::Xml),
        ("html", Format::Html),
    ] {
        let mut expected = Vec::new();
        report.write_to(&mut expected, format).expect("written");
        let shown = gmr(&["view", &path, "--format", name]).well();
        if format == Format::JsonLines {
            // Each writing has an id of its own.
            assert_eq!(Report::from_json_lines(&shown).as_ref(), Ok(&report));
        } else {
            assert!(shown.as_bytes() == expected, "{name}: {shown}");
        }
    }
    let shown = gmr(&["view", &path]).well();
    assert!(shown.contains("service::pay"), "{shown}");
    let shown = gmr(&["view", &path, "-f", "json"]).well();
    assert_eq!(serde_json::from_str::<Value>(&shown).ok(), serde_json::from_str(&text).ok());
    roxmltree::Document::parse(&gmr(&["view", &path, "-f", "xml"]).well()).expect("XML");
}

#[test]
fn a_file_is_new_and_private_and_its_name_says_the_format() {
    let report = Report::capture();
    let (folder, path) = (folder("written"), file(&folder("given"), "report", report.to_json()));
    for (name, more, format) in [
        ("a.json", &[][..], "json"),
        ("a.xml", &[], "xml"),
        ("a.html", &[], "html"),
        ("a.txt", &[], "text"),
        ("a", &[], "text"),
        ("b.html", &["-f", "xml"], "xml"),
    ] {
        let written = folder.join(name).display().to_string();
        let arguments = [&["view", &path, "-o", &written], more].concat();
        assert_eq!(gmr(&arguments).well(), "");
        let expected = gmr(&["view", &path, "-f", format]).well();
        assert_eq!(fs::read_to_string(&written).expect("a file"), expected, "{name}");
        let mode = fs::metadata(&written).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        // What is there stays as it is.
        assert!(gmr(&arguments).failed(1).contains("exists"));
        assert_eq!(fs::read_to_string(&written).expect("a file"), expected, "{name}");
    }
    let written = folder.join("a.jsonl").display().to_string();
    gmr(&["view", &path, "-o", &written]).well();
    let lines = fs::read_to_string(&written).expect("a file");
    assert_eq!(Report::from_json_lines(&lines).as_ref(), Ok(&report));
}

/// As `gzip` has made it, which every system has.
#[test]
fn a_compressed_file_is_read_as_it_is() {
    let text = Service::start().report();
    let path = file(&folder("compressed"), "report.json", &text);
    assert!(Command::new("gzip").arg(&path).status().expect("gzip starts").success());
    let compressed = format!("{path}.gz");
    assert!(!fs::exists(&path).expect("a folder") && fs::exists(&compressed).expect("a folder"));
    let shown = gmr(&["view", &compressed, "-f", "json"]).well();
    assert_eq!(Report::from_json(&shown), Report::from_json(&text));
    let cut = fs::read(&compressed).expect("a file");
    fs::write(&compressed, &cut[..cut.len() / 2]).expect("a file");
    let error = gmr(&["view", &compressed]);
    assert!(error.errors.contains("could not read"), "{}", error.errors);
}

#[test]
fn a_log_has_several_reports() {
    let mut service = Service::start();
    let reports: Vec<Report> =
        (0..3).map(|_| Report::from_json(&service.report()).expect("a report")).collect();
    let lines = |report: &Report| {
        let lines = report.to_json_lines();
        lines.lines().flat_map(|line| ["shop-1 | ", line, "\nGET / 200\n"]).collect::<String>()
    };
    let log = format!("starting\n{}{}{}", lines(&reports[0]), reports[1].to_json(), lines(&reports[2]));
    let rows = gmr_on(&["view", "-", "--list", "--json"], &log).json();
    let rows: Vec<_> =
        list(&rows).iter().map(|row| (&row["place"], &row["number"], &row["trigger"])).collect();
    let row = |number: u64| (Value::from(number), Value::from("signal SIGUSR2"));
    let expected = [row(1), row(2), row(3)];
    assert_eq!(rows, expected.each_ref().map(|(number, trigger)| (number, number, trigger)));
    let listed = gmr_on(&["view", "-", "--list"], &log).well();
    let process = format!("report 2 of shop 1.0, process {}", service.pid());
    assert!(
        listed.lines().nth(1).is_some_and(|line| line.starts_with("2: ") && line.contains(&process)),
        "{listed}"
    );
    for (place, report) in (1..).zip(&reports) {
        let shown = gmr_on(&["view", "-", "-f", "json", "--report", &format!("{place}")], &log).well();
        assert_eq!(Report::from_json(&shown).as_ref(), Ok(report));
    }
    let latest = gmr_on(&["view", "-", "-f", "json"], &log);
    assert!(latest.code == Some(0) && latest.errors.contains("the latest of 3"), "{}", latest.errors);
    assert_eq!(Report::from_json(&latest.output).as_ref(), Ok(&reports[2]));
    let said = gmr_on(&["view", "-", "--report", "4"], &log).failed(1);
    assert!(said.contains("3 reports") && said.contains("--list"), "{said}");
    // One of which the log has the end only.
    let cut = log.replacen("\"part\":1,", "\"part\":99,", 1);
    let shown = gmr_on(&["view", "-", "--list"], &cut);
    assert!(shown.code == Some(0) && shown.output.lines().count() == 2, "{}", shown.output);
    assert!(shown.errors.contains("left out") && shown.errors.contains("is missing"), "{}", shown.errors);
}

#[test]
fn what_cannot_be_shown_is_said() {
    let folder = folder("unreadable");
    for (name, text, said) in [
        ("empty", "", "it is empty"),
        ("other", "GET / 200\n", "no report found"),
        ("later", "{\"schema_version\":\"9.0\"}\n", "9.0"),
    ] {
        let path = file(&folder, name, text);
        let errors = gmr(&["view", &path]).failed(1);
        assert!(errors.starts_with(&format!("gmr: {path}: ")) && errors.contains(said), "{errors}");
    }
    let text = file(&folder, "text", Report::capture().to_text());
    let errors = gmr(&["view", &text]).failed(1);
    assert!(errors.contains("GMR_FORMAT=json"), "{errors}");
    let errors = gmr(&["view", &folder.join("none").display().to_string()]).failed(1);
    assert!(errors.contains("could not read ") && errors.contains("No such file"), "{errors}");
    let report = file(&folder, "report", Report::capture().to_json());
    let errors = gmr(&["view", &report, "-o", &folder.display().to_string()]).failed(1);
    assert!(errors.contains("exists"), "{errors}");
    let errors = gmr(&["view", &report, "-o", &folder.join("none/x").display().to_string()]).failed(1);
    assert!(errors.contains("could not create "), "{errors}");
}

#[test]
fn a_reader_that_stops_is_no_error() {
    let report = file(&folder("stops"), "report", Report::capture().to_json());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmr"));
    command.args(["view", &report, "-f", "html"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("it ends");
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}
