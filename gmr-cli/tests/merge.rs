//! `gmr merge`, of reports that are made from those of real processes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::service::{Service, file, folder, gmr, has, list};

/// The data of a section.
fn section<'a>(report: &'a mut Value, kind: &str) -> &'a mut Value {
    let sections = report["sections"].as_array_mut().expect("sections");
    let section = sections.iter_mut().find(|section| section["content"]["kind"] == kind);
    &mut section.expect("the section")["content"]["data"]
}

/// The report as one of another process, on a host of its own.
fn of_process(report: &Value, index: u32, version: &str) -> Value {
    let mut report = report.clone();
    report["heading"]["pid"] = (100 + index).into();
    let package = section(&mut report, "package");
    package["host"] = format!("host{index}").into();
    package["version"] = version.into();
    report
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// The place at which the function is.
fn place<'a>(merged: &'a Value, function: &str) -> &'a Value {
    let places: Vec<_> = list(&merged["places"]).iter().filter(|place| has(place, function)).collect();
    assert_eq!(places.len(), 1, "{merged}");
    places[0]
}

#[test]
fn many_processes_are_grouped_by_place_finding_version_and_host() {
    let folder = folder("merge");
    let mut service = Service::start();
    service.tell_all(&["pay", "pay"]);
    let mut waiting = json(&service.report());
    waiting["findings"] = json!([]);
    service.tell("release");
    let mut other = service.report();
    while other.contains("service::pay") {
        other = service.report();
    }
    let mut other = json(&other);
    other["findings"] = json!([]);
    let finding = |count: u32| {
        let message = format!("{count} orders are lost");
        json!([{ "code": "planted", "severity": "error", "message": message, "threads": [], "tasks": [] }])
    };
    for index in 0..18 {
        let mut report = of_process(&waiting, index, if index < 15 { "2.0" } else { "1.0" });
        if index < 5 {
            report["findings"] = finding(index);
        }
        // It is the same place if lines have moved between versions.
        if index >= 15 {
            for frame in report["frames"].as_array_mut().expect("frames") {
                frame["line"] = frame["line"].as_u64().map(|line| line + 1).into();
            }
        }
        file(&folder, &format!("{index:02}.json"), report.to_string());
    }
    for index in 18..20 {
        file(&folder, &format!("{index:02}.json"), of_process(&other, index, "2.0").to_string());
    }
    // An earlier report of a process that has a later one.
    other["heading"]["number"] = 0.into();
    other["heading"]["made_at"] = "2026-01-01T00:00:00.000Z".into();
    file(&folder, "earlier.json", of_process(&other, 0, "2.0").to_string());
    file(&folder, "notes", "restart at noon\n");

    let path = folder.display().to_string();
    let done = gmr(&["merge", &path, "--json"]);
    assert_eq!(done.code, Some(0), "{}", done.errors);
    assert!(
        done.errors.starts_with("gmr: left out: ") && done.errors.contains("/notes: no report"),
        "{}",
        done.errors
    );
    let merged = json(&done.output);
    let figures = ["processes", "hosts", "earlier_reports", "unknown_processes"].map(|name| &merged[name]);
    assert_eq!(figures, [20, 20, 1, 0].map(Value::from).each_ref(), "{merged}");
    assert_eq!(list(&merged["left_out"]).len(), 1, "{merged}");
    let versions = json!([{ "name": "shop 2.0", "processes": 17 }, { "name": "shop 1.0", "processes": 3 }]);
    assert_eq!(merged["versions"], versions);
    let pay = place(&merged, "service::pay");
    assert_eq!(
        [&pay["processes"], &pay["hosts"], &pay["count"]],
        [&json!(18), &json!(18), &json!(36)],
        "{pay}"
    );
    let versions = json!([{ "name": "shop 2.0", "processes": 15 }, { "name": "shop 1.0", "processes": 3 }]);
    assert_eq!(pay["versions"], versions);
    let [finding] = list(&merged["findings"]) else { panic!("{}", merged["findings"]) };
    assert_eq!([&finding["code"], &finding["processes"]], [&json!("planted"), &json!(5)], "{finding}");

    let shown = gmr(&["merge", &path]).output;
    for line in
        ["20 processes on 20 hosts: 17 shop 2.0, 3 shop 1.0", "1 earlier report of these processes left out"]
    {
        assert!(shown.lines().any(|other| other == line), "{line}: {shown}");
    }
    assert!(shown.contains("18 of 20 processes: 36 threads; 15 shop 2.0, 3 shop 1.0"), "{shown}");
    assert!(
        shown.contains(
            "  error: 0 orders are lost\n      in 5 of 20 processes with other numbers; 5 shop 2.0"
        ),
        "{shown}"
    );
    // The result does not depend on the order of files.
    let mut files: Vec<String> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .collect();
    files.retain(|file| !file.ends_with("/notes"));
    files.sort_unstable_by(|a, b| b.cmp(a));
    let files: Vec<&str> = ["merge", "--json"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let turned = gmr(&files).json();
    assert_eq!([&turned["places"], &turned["findings"]], [&merged["places"], &merged["findings"]]);
}

#[test]
fn a_report_without_the_start_of_its_process_counts_as_a_process() {
    let folder = folder("merge-unknown");
    let mut report = json(&Service::start().report());
    section(&mut report, "package")["started_at"] = Value::Null;
    let files = ["a", "b"].map(|name| file(&folder, name, report.to_string()));
    let merged = gmr(&["merge", &files[0], &files[1], "--json"]).json();
    assert_eq!([&merged["processes"], &merged["unknown_processes"]], [&json!(2), &json!(2)], "{merged}");
    let shown = gmr(&["merge", &files[0], &files[1]]).well();
    assert!(shown.contains("2 reports without the start of the process"), "{shown}");
}

#[test]
fn a_folder_without_a_report_is_an_error() {
    let folder = folder("merge-empty");
    let path = folder.display().to_string();
    assert!(gmr(&["merge", &path]).failed(1).contains("the folder is empty"));
    file(&folder, "notes", "restart at noon\n");
    let errors = gmr(&["merge", &path]).failed(1);
    assert!(
        errors.contains("no report that can be read") && errors.contains("/notes: no report found"),
        "{errors}"
    );
}

/// 1,000 reports of 200 threads, with as many different stacks as threads in each.
fn thousand(folder: &Path) {
    let mut service = Service::start();
    service.tell("pay");
    let report = json(&service.report());
    let mut template = report.clone();
    let threads = section(&mut template, "threads")["threads"].as_array_mut().expect("threads");
    let paying = json(&report.to_string());
    let frames = list(&paying["frames"]);
    let is_paying = |thread: &Value| {
        let is_here = |index: &Value| {
            let frame = &frames[usize::try_from(index.as_u64().expect("an index")).expect("small")];
            frame["function"].as_str().is_some_and(|function| function.contains("service::pay"))
        };
        list(&thread["stack"]["frames"]).iter().any(is_here)
    };
    let thread = threads.iter().find(|thread| is_paying(thread)).expect("it is there").clone();
    let first = frames.len();
    threads.clear();
    for index in 0..200 {
        let mut thread = thread.clone();
        thread["tid"] = (1_000 + index).into();
        let stack = thread["stack"]["frames"].as_array_mut().expect("frames");
        stack.insert(0, (first + index).into());
        threads.push(thread);
    }
    let pay =
        frames.iter().find(|frame| frame["function"].as_str().is_some_and(|it| it.contains("service::pay")));
    let pay = pay.expect("the frame");
    let all = template["frames"].as_array_mut().expect("frames");
    for index in 0..200 {
        let mut frame = pay.clone();
        frame["function"] = format!("shop::step_{index:03}").into();
        all.push(frame);
    }
    for index in 0..1_000 {
        file(folder, &format!("{index:04}.json"), of_process(&template, index, "2.0").to_string());
    }
}

/// `cargo test --release -p gmr-cli --test command -- --ignored --nocapture`: a debug build takes
/// longer.
#[test]
#[ignore = "a measurement of the release build"]
fn a_thousand_reports_are_merged_within_200_mib() {
    let folder = folder("merge-thousand");
    thousand(&folder);
    let size: u64 = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len())
        .sum();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmr"));
    command.args(["merge", &folder.display().to_string(), "--json"]).stdout(Stdio::piped());
    let since = Instant::now();
    let mut child = command.spawn().expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    // It has everything by the time at which it begins to write, and can't end before this is read.
    output.fill_buf().expect("it writes");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it lives");
    let mut text = String::new();
    output.read_to_string(&mut text).expect("text");
    assert!(child.wait().expect("it ends").success());
    let took = since.elapsed();
    let merged = json(&text);
    assert_eq!(merged["processes"], 1_000);
    assert_eq!(place(&merged, "shop::step_007")["count"], 1_000);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    eprintln!("{} MB of JSON in {took:?}, at most {peak} KiB", size / 1_000_000);
    assert!(peak <= 200 << 10, "{peak} KiB");
}
