//! What a report lacks, by the report itself. What it lacks without saying so fails the test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::report::{Report, Stack, list, text};

/// What is missing of a report that says so.
pub(super) type Lack = BTreeSet<String>;

pub(super) const REPORT: &str = "the report: the next one that can be written says so";
pub(super) const RAW: &str = "all but a raw report";

/// Without these calls, nothing can be written.
pub(super) const REPORT_ITSELF: [&str; 2] = ["write", "ppoll"];

/// What a report lacks. Panics if it does not say so.
pub(super) fn lack(report: &Report) -> Lack {
    let mut lack = Lack::new();
    let mut misses = |what: &str, is_said: bool| {
        assert!(is_said, "{what} is missing, and the report does not say so:\n{report}");
        lack.insert(what.to_owned());
    };
    let kinds = [
        ("Package", "package"),
        ("Resources", "resources"),
        ("Threads", "threads"),
        ("Green Threads", "green_threads"),
        ("Processes", "processes"),
        ("Descriptors", "descriptors"),
        ("Modules", "modules"),
        ("Configuration", "configuration"),
        ("Notes", "text"),
    ];
    assert_eq!(report.titles(), kinds.map(|(title, _)| title));
    let mut is_there = BTreeMap::new();
    for (title, kind) in kinds {
        let content = report.content(title);
        let is_expected = content["kind"] == kind;
        if !is_expected {
            misses(title, says_why(content));
        }
        is_there.insert(title, is_expected);
    }
    if is_there["Package"] {
        let package = report.package();
        let fields = [
            "executable",
            "build_id",
            "rustc",
            "started_at",
            "uptime_ms",
            "working_directory",
            "host",
            "kernel",
            "libc",
        ];
        if fields.iter().any(|field| package[field].is_null()) || list(&package["command"]).is_empty() {
            misses("facts in Package", has_notes(package));
        }
    }
    for title in ["Resources", "Descriptors", "Modules"] {
        if is_there[title] {
            about_the_process(report, title, &mut misses);
        }
    }
    if is_there["Threads"] {
        threads(report, &mut misses);
    }
    if is_there["Green Threads"] {
        let [task] = report.tasks() else { panic!("one task: {report}") };
        let stack = list(&task["stacks"]).first().map(|stack| report.stack(stack));
        let is_whole = stack.as_ref().is_some_and(Stack::is_whole);
        if !is_whole {
            let is_said = match &stack {
                Some(stack) => stack.incomplete.is_some(),
                // It has been woken, and waits for its thread.
                None => task["state"]["kind"] != "waiting",
            };
            misses("stacks of tasks", is_said || report_has_notes(report, "Green Threads"));
        }
    }
    if is_there["Processes"] {
        let processes = report.data("Processes", "processes");
        let own = &list(&processes["processes"])[0];
        let has_command = list(&own["command"]).first().is_some_and(|name| text(name).ends_with("/faults"));
        if !has_command || own["uids"].is_null() {
            misses("ids and command lines of processes", has_notes(processes));
        }
        if own["cpu_user_ms"].is_null() || own["resident_bytes"].is_null() {
            misses("times and memory of processes", has_notes(processes));
        }
        if own["user"].is_null() {
            misses("names of users", has_notes(processes));
        }
    }
    if is_there["Configuration"] && report.group("Settings")["kind"] != "text" {
        misses("Configuration", says_why(report.group("Settings")));
    }
    lack
}

/// A section about the process as a whole.
fn about_the_process(report: &Report, title: &str, misses: &mut impl FnMut(&str, bool)) {
    match title {
        "Resources" => {
            let resources = report.data("Resources", "resources");
            let fields = [
                &resources["memory"]["resident_bytes"],
                &resources["memory"]["peak_resident_bytes"],
                &resources["usage"]["cpu_user_ms"],
                &resources["usage"]["minor_faults"],
                &resources["threads"],
                &resources["open_descriptors"],
                &resources["limits"][0],
                &resources["cgroups"][0],
                &resources["system"]["load_1min"],
                &resources["system"]["memory_bytes"],
            ];
            if fields.iter().any(|field| field.is_null()) {
                misses("facts in Resources", has_notes(resources));
            }
        }
        "Descriptors" => {
            let descriptors = report.data("Descriptors", "descriptors");
            // Where calls are filtered, the peers of Unix sockets are not looked up.
            let has_socket = list(&descriptors["sockets"]).iter().any(|group| group["protocol"] == "Unix");
            let has_log = list(&descriptors["kinds"]).iter().any(|kind| kind["name"] == "memfd");
            if !has_socket || !has_log || descriptors["open"].is_null() || descriptors["limit"].is_null() {
                misses("what descriptors refer to", has_notes(descriptors));
            }
        }
        _ => {
            let modules = list(&report.data("Modules", "modules")["modules"]);
            let own = modules.iter().find(|module| text(&module["path"]).ends_with("/faults"));
            assert!(own.is_some_and(|own| own["build_id"].is_string()), "{modules:?}");
        }
    }
}

fn has_notes(data: &Value) -> bool {
    !list(&data["notes"]).is_empty()
}

fn report_has_notes(report: &Report, title: &str) -> bool {
    has_notes(&report.content(title)["data"])
}

/// A section that is not there has a reason, or the stack of where it is stuck.
fn says_why(content: &Value) -> bool {
    matches!(content["kind"].as_str(), Some("error" | "skipped" | "timed_out" | "still_running"))
        && !content["data"].is_null()
}

/// The threads of the program that do not depend on when the report is made, with a function of
/// each.
const THREADS: [(&str, &str); 5] = [
    ("faults", "faults::main"),
    ("parked", "faults::park_here"),
    ("reader", "faults::read_here"),
    ("task", "faults::execute"),
    ("running", "faults::run_here"),
];

fn threads(report: &Report, misses: &mut impl FnMut(&str, bool)) {
    let all = report.threads();
    let has_notes = report_has_notes(report, "Threads");
    for (name, function) in THREADS {
        let Some(thread) = all.iter().find(|thread| thread.name() == name) else {
            misses("names and times of threads", has_notes);
            continue;
        };
        let stack = thread.stack();
        let by_signal = name == "running";
        if !stack.is_whole() {
            let what = if by_signal { "stacks of running threads" } else { "stacks of waiting threads" };
            misses(what, stack.incomplete.is_some_and(|reason| !reason.is_empty()));
            continue;
        }
        if !stack.mentions(function) {
            misses("names of functions", has_notes);
        } else if stack.frames.iter().all(|frame| frame.line().is_none()) {
            misses("lines", has_notes);
        }
        if ["state", "policy", "started_at", "cpu_user_ms"].iter().any(|field| thread.field(field).is_null())
        {
            misses("names and times of threads", has_notes);
        }
        let target = thread.waiting()["target"].as_str().unwrap_or_default();
        if name == "reader" && !target.starts_with("Unix socket") {
            misses("what descriptors refer to", has_notes);
        }
    }
}
