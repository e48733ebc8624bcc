//! Tables of forty processes with planted differences, made from reports of a real one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::{file, reports, ship};
use crate::service::reports_of;

/// What somebody could try to become SQL, markup, or a terminal's command.
pub(crate) const HOSTILE: &str = "shop::'; SELECT 1; --<script>alert(1)</script>\u{1b}[2J";

/// As it is among the functions of a place, which are what a report shows.
const ESCAPED: &str = "shop::'; SELECT 1; --<script>alert(1)</script>\\u{1b}[2J";

/// The data of a section.
pub(crate) fn section<'a>(report: &'a mut Value, kind: &str) -> &'a mut Value {
    let sections = report["sections"].as_array_mut().expect("sections");
    let section = sections.iter_mut().find(|section| section["content"]["kind"] == kind);
    &mut section.expect("the section")["content"]["data"]
}

/// The report as one of another process, on a host of its own.
pub(crate) fn of_process(report: &Value, index: u32, version: &str) -> Value {
    let mut report = report.clone();
    report["heading"]["pid"] = (100 + index).into();
    report["heading"]["number"] = 2.into();
    // Each version at an hour of its own.
    let hour = if version == "1.0" { 3 } else { 4 };
    report["heading"]["made_at"] = format!("2026-01-02T0{hour}:00:{index:02}.000Z").into();
    report["findings"] = json!([]);
    let package = section(&mut report, "package");
    package["host"] = format!("host{index}").into();
    package["kubernetes"] = json!([]);
    package["version"] = version.into();
    package["uptime_ms"] = 3_600_000.into();
    report
}

/// Has a task of this report wait for so long.
fn wait(report: &mut Value, ms: u64) {
    let tasks = section(report, "green_threads")["tasks"].as_array_mut().expect("tasks");
    tasks[0]["state"] = json!({ "kind": "waiting", "waiting_ms": ms });
}

/// Whether a thread has this function in its stack.
fn is_at(thread: &Value, frames: &Value, function: &str) -> bool {
    let frame = |index: &Value| &frames[usize::try_from(index.as_u64().expect("an index")).expect("small")];
    thread["stack"]["frames"]
        .as_array()
        .expect("frames")
        .iter()
        .any(|index| frame(index)["function"].as_str().is_some_and(|name| name.ends_with(function)))
}

/// Makes the tables in this folder.
pub(crate) fn tables(folder: &Path) -> PathBuf {
    let (from, to) = (folder.join("in"), folder.join("out ' and \" %20"));
    fs::create_dir(&from).expect("a folder");
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, 24)[0]).expect("JSON");
    let frames = report["frames"].clone();
    for index in 0..40 {
        let mut report = of_process(&report, index, if index < 20 { "1.0" } else { "1.1" });
        if index >= 30 {
            // Nobody packs there.
            let threads = section(&mut report, "threads")["threads"].as_array_mut().expect("threads");
            threads.retain(|thread| {
                !is_at(thread, &frames, "service::pack") || is_at(thread, &frames, "service::deliver")
            });
        }
        if index % 4 == 0 {
            let message = format!("{index} orders are lost; DROP TABLE reports");
            report["findings"] = json!([
                { "code": "planted", "severity": "error", "message": message, "threads": [], "tasks": [] }
            ]);
        }
        match index {
            // One waits much longer than the others, but not since its start as another one does.
            12 => wait(&mut report, 600_000),
            14 => wait(&mut report, 3_599_000),
            _ => wait(&mut report, u64::from(index)),
        }
        if index == 7 {
            // One is where no other is, and has more threads.
            let frames = report["frames"].as_array_mut().expect("frames");
            let mut frame = frames[0].clone();
            frame["function"] = HOSTILE.into();
            frames.push(frame);
            let rare = frames.len() - 1;
            let threads = section(&mut report, "threads")["threads"].as_array_mut().expect("threads");
            let paying = threads.iter().position(|thread| thread["name"] == "worker-0").expect("it pays");
            let mut thread = threads[paying].clone();
            thread["stack"]["frames"].as_array_mut().expect("frames").insert(0, rare.into());
            threads.push(thread);
            report["summary"]["threads"] = 100.into();
        }
        file(&from, &format!("{index:02}.json"), report.to_string());
        if index == 3 {
            // An earlier one of the same process does not count.
            let mut earlier = report.clone();
            earlier["heading"]["number"] = 1.into();
            earlier["heading"]["made_at"] = "2026-01-01T00:00:00.000Z".into();
            earlier["findings"] =
                json!([{ "code": "old", "severity": "error", "message": "", "threads": [], "tasks": [] }]);
            file(&from, "earlier.json", earlier.to_string());
        }
    }
    ship(&from, &to);
    assert_eq!(reports(&to).len(), 41);
    to
}

/// Whether a row is of a place with this function.
fn has(row: &Value, function: &str) -> bool {
    let functions = row["functions"].as_array().expect("functions").iter();
    functions.filter_map(Value::as_str).any(|name| name.ends_with(function))
}

/// The place of those that pack, of the rows of `stacks`.
pub(crate) fn packing(stacks: &[Value]) -> &Value {
    let is_pack = |row: &&Value| has(row, "service::pack") && !has(row, "service::deliver");
    stacks.iter().find(is_pack).expect("the place")
}

/// The values of these columns.
fn figures(row: &Value, columns: &[&str]) -> Value {
    columns.iter().map(|column| row[*column].clone()).collect()
}

/// The rows of `stacks`, `stacks-by-version`, `stacks-by-host`, `findings`, `diff` of both versions,
/// `outliers`, and `trend` by the hour with the place of those that pack.
#[track_caller]
pub(crate) fn check(answers: &[Vec<Value>]) {
    let [stacks, versions, hosts, findings, diff, outliers, trend] = answers else { panic!("{answers:?}") };
    let pay: Vec<_> = stacks.iter().filter(|row| has(row, "service::pay")).collect();
    // The other one is that of the rare place.
    assert_eq!(pay.len(), 2, "{stacks:?}");
    assert_eq!(figures(pay[0], &["processes", "hosts", "count"]), json!([40, 40, 240]));
    let pack = packing(stacks);
    assert_eq!(figures(pack, &["processes", "count"]), json!([30, 180]), "{pack}");
    let of_pack = |rows: &[Value], columns: &[&str]| -> Vec<Value> {
        let rows = rows.iter().filter(|row| row["place_id"] == pack["place_id"]);
        rows.map(|row| figures(row, columns)).collect()
    };
    let shares = of_pack(versions, &["version", "processes", "of", "count"]);
    assert_eq!(shares, [json!(["1.0", 20, 20, 120]), json!(["1.1", 10, 20, 60])]);
    assert_eq!(of_pack(hosts, &["host"]).len(), 30);

    let [finding] = &findings[..] else { panic!("{findings:?}") };
    let columns = ["code", "severity", "certainty", "processes", "numbers_differ"];
    assert_eq!(figures(finding, &columns), json!(["planted", "error", "certain", 10, true]));

    let shares = of_pack(diff, &["older", "of_older", "newer", "of_newer"]);
    assert_eq!(shares, [json!([20, 20, 10, 20])]);
    // The rare place is in one version only as well.
    assert_eq!(diff.len(), 2, "{diff:?}");

    let said: Vec<_> = outliers.iter().map(|row| figures(row, &["differs", "host"])).collect();
    let expected = [["place", "host7"], ["threads", "host7"], ["waits", "host12"]];
    assert_eq!(json!(said), json!(expected), "{outliers:?}");
    let longest = "a task checkout has been waiting for 600000 ms; the median is ";
    assert!(outliers[2]["what"].as_str().is_some_and(|what| what.starts_with(longest)), "{outliers:?}");
    assert!(outliers[0]["what"].as_str().is_some_and(|what| what.contains(ESCAPED)), "{outliers:?}");

    let columns = ["begins_at", "processes", "hosts", "with_errors", "most_threads", "at_place"];
    let steps: Vec<_> = trend.iter().map(|row| figures(row, &columns)).collect();
    let threads = &trend[2]["most_threads"];
    // Midnight of the day before, and the hours from 3 and 4 o'clock.
    assert_eq!(
        steps,
        [
            json!([1_767_225_600, 1, 1, 1, threads, 1]),
            json!([1_767_322_800, 20, 20, 5, 100, 20]),
            json!([1_767_326_400, 20, 20, 5, threads, 10]),
        ]
    );
}
