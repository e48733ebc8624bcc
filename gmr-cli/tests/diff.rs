//! `gmr diff`: planted changes are found, and what does not change, or is not known, is not.

use serde_json::{Value, json};

use crate::service::{Service, file, folder, gmr, has, list};

/// The places of this kind at which the function is, as counts in both reports.
fn places<'a>(comparison: &'a Value, kind: &str, function: &str) -> Vec<[&'a Value; 2]> {
    let here = |place: &&Value| place["kind"] == kind && has(place, function);
    let places = list(&comparison["places"]).iter().filter(here);
    places.map(|place| [&place["older"], &place["newer"]]).collect()
}

/// How many are at the same place in both reports, where the function is.
fn same(comparison: &Value, kind: &str, function: &str) -> usize {
    let here = |group: &&Value| group["kind"] == kind && has(group, function);
    let groups = list(&comparison["same_place"]).iter().filter(here);
    groups.map(|group| list(&group["ids"]).len()).sum()
}

/// How many threads the process of this report has.
fn threads_of(file: &str) -> Value {
    let report = std::fs::read_to_string(file).expect("the report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let content = list(&report["sections"]).iter().map(|section| &section["content"]);
    let resources = content.into_iter().find(|content| content["kind"] == "resources").expect("resources");
    assert!(resources["data"]["threads"].is_u64(), "{resources}");
    resources["data"]["threads"].clone()
}

#[test]
fn what_is_at_the_same_place_new_and_gone_is_found() {
    let folder = folder("diff");
    let mut service = Service::start();
    service.tell_all(&["pay", "pay", "pay", "spin", "task"]);
    let a = file(&folder, "a", service.report());
    service.tell("ship");
    let b = file(&folder, "b", service.report());
    service.tell_all(&["release", "poll"]);
    // The threads are gone once none of them is listed.
    let mut report = service.report();
    while report.contains("service::pay") || report.contains("service::ship") {
        report = service.report();
    }
    let c = file(&folder, "c", report);

    let comparison = gmr(&["diff", &a, &b, "--json"]).json();
    assert_eq!(comparison["same_process"], true, "{comparison}");
    assert_eq!(same(&comparison, "thread", "service::pay"), 3, "{comparison}");
    // One that runs has not stayed where it was.
    assert_eq!(same(&comparison, "thread", "service::spin"), 0, "{comparison}");
    assert_eq!(same(&comparison, "task", "service::orders"), 1, "{comparison}");
    assert_eq!(places(&comparison, "thread", "service::ship"), [[&json!(0), &json!(1)]], "{comparison}");
    assert!(places(&comparison, "thread", "service::pay").is_empty(), "{comparison}");
    let [threads] =
        list(&comparison["figures"]).iter().filter(|it| it["name"] == "threads").collect::<Vec<_>>()[..]
    else {
        panic!("{comparison}")
    };
    // gmr has threads of its own, and not always the same number.
    assert_eq!([&threads["older"], &threads["newer"]], [&threads_of(&a), &threads_of(&b)], "{threads}");

    let comparison = gmr(&["diff", &b, &c, "--json"]).json();
    assert_eq!(places(&comparison, "thread", "service::pay"), [[&json!(3), &json!(0)]], "{comparison}");
    assert_eq!(same(&comparison, "thread", "service::pay"), 0, "{comparison}");
    // It has been polled between, and is at the same place again.
    assert_eq!(same(&comparison, "task", "service::orders"), 0, "{comparison}");
    assert!(places(&comparison, "task", "service::orders").is_empty(), "{comparison}");

    let shown = gmr(&["diff", &a, &b]).well();
    for line in ["  3 threads: #", "  0 -> 1 thread (new)", "  1 task: #1"] {
        assert!(shown.lines().any(|other| other.starts_with(line)), "{line}: {shown}");
    }
    let turned = gmr(&["diff", &b, &a]);
    assert!(
        turned.code == Some(0) && turned.errors.contains("the first report is the later one"),
        "{}",
        turned.errors
    );
}

#[test]
fn of_two_processes_only_counts_are_compared() {
    let folder = folder("diff-two");
    let (mut one, mut other) = (Service::start(), Service::start());
    one.tell("pay");
    other.tell_all(&["pay", "pay"]);
    let (a, b) = (file(&folder, "a", one.report()), file(&folder, "b", other.report()));
    let comparison = gmr(&["diff", &a, &b, "--json"]).json();
    assert_eq!(comparison["same_process"], false, "{comparison}");
    assert!(list(&comparison["same_place"]).is_empty(), "{comparison}");
    assert_eq!(places(&comparison, "thread", "service::pay"), [[&json!(1), &json!(2)]], "{comparison}");
    let shown = gmr(&["diff", &a, &b]).well();
    assert!(shown.contains("not known to be of the same process"), "{shown}");
}

/// As many are at no place as have no stack. Without any, nothing is said of it.
#[test]
fn what_has_no_stack_is_counted() {
    let folder = folder("diff-without");
    let mut service = Service::start();
    service.tell("task");
    let report = service.report();
    let mut without: Value = serde_json::from_str(&report).expect("JSON");
    for section in without["sections"].as_array_mut().expect("sections") {
        if section["content"]["kind"] == "green_threads" {
            section["content"]["data"]["tasks"][0]["stacks"] = json!([]);
        }
    }
    let (a, b) = (file(&folder, "a", &report), file(&folder, "b", without.to_string()));
    let comparison = gmr(&["diff", &a, &b, "--json"]).json();
    assert_eq!(comparison["without_stack"], json!([{ "kind": "task", "older": 0, "newer": 1 }]));
    let shown = gmr(&["diff", &a, &b]).well();
    assert!(shown.contains("  without a stack, and so not compared: 0 -> 1 task\n"), "{shown}");
    let comparison = gmr(&["diff", &a, &a, "--json"]).json();
    assert_eq!(comparison["without_stack"], json!([]));
    assert!(!gmr(&["diff", &a, &a]).well().contains("without a stack"));
}

/// A report of process 1 of a container, changed.
fn restarted(report: &str, number: u64, made_at: &str, started_at: &str) -> String {
    let mut report: Value = serde_json::from_str(report).expect("JSON");
    report["heading"]["number"] = number.into();
    report["heading"]["made_at"] = made_at.into();
    for section in report["sections"].as_array_mut().expect("sections") {
        if section["content"]["kind"] == "package" {
            section["content"]["data"]["started_at"] = started_at.into();
        }
    }
    report.to_string()
}

#[test]
fn a_process_with_the_id_of_another_one_is_not_the_same() {
    let folder = folder("diff-restarted");
    let report = Service::start().report();
    let of = |name: &str, number, made_at: &str, started_at: &str| {
        file(&folder, name, restarted(&report, number, made_at, started_at))
    };
    let first = of("first", 1, "2026-01-01T12:00:01.500Z", "2026-01-01T12:00:00Z");
    for (name, number, started_at, is_same) in [
        ("same", 2, "2026-01-01T12:00:00Z", true),
        // The start is computed anew for each report.
        ("rounded", 2, "2026-01-01T11:59:59Z", true),
        ("later", 2, "2026-01-01T12:00:02Z", false),
        // Restarted within a second.
        ("first-again", 1, "2026-01-01T12:00:01Z", false),
    ] {
        let second = of(name, number, "2026-01-01T12:00:03.000Z", started_at);
        let comparison = gmr(&["diff", &first, &second, "--json"]).json();
        assert_eq!(comparison["same_process"], is_same, "{name}: {}", comparison["newer"]);
    }
}
