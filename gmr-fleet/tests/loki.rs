//! The queries for Loki in `docs/fleet/loki`, of the `json-lines` of real reports. There is no Loki here:
//! `loki/answer.mjs` reads them by Grafana's grammar, and does what its stages are documented to do.
//! `GMR_TEST_NPM` has the module `@grafana/lezer-logql`.

use std::fs;
use std::path::Path;
use std::process::Command;

use gmr_runtime::Report;
use serde_json::{Value, json};

use crate::program::done;
use crate::service::reports_of;

/// What a query answers. `None` where it can't be asked, which is said.
fn answer(query: &str, lines: &[Value]) -> Option<Vec<Value>> {
    let Some(modules) = std::env::var_os("GMR_TEST_NPM") else {
        assert!(std::env::var_os("CI").is_none(), "`CI` is set, and GMR_TEST_NPM is not");
        eprintln!("skipped: GMR_TEST_NPM is not set");
        return None;
    };
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loki/answer.mjs")).arg(modules);
    let told = json!({ "query": query, "lines": lines }).to_string();
    Some(serde_json::from_str(&done(command, told.as_bytes()).well()).expect("JSON"))
}

/// A query of the documentation.
fn query(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fleet/loki");
    fs::read_to_string(path.join(format!("{name}.logql"))).expect("the file")
}

/// The log of a pod with this report, and other lines.
fn log(app: &str, pod: &str, report: &Value) -> Vec<Value> {
    let lines = Report::from_json(&report.to_string()).expect("a report").to_json_lines();
    assert!(lines.lines().count() > 1, "it has parts");
    let lines =
        ["started", r#"refused "gmr_report" of \"severity\":\"error\","#].into_iter().chain(lines.lines());
    lines.map(|line| json!({ "labels": { "app": app, "pod": pod }, "line": line })).collect()
}

/// A finding as rules make them.
fn finding(code: &str, severity: &str, message: &str) -> Value {
    json!({ "code": code, "severity": severity, "message": message, "threads": [], "tasks": [] })
}

#[test]
fn three_queries_answer_from_json_lines() {
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, 24)[0]).expect("JSON");
    let with = |findings: Value| {
        let mut report = report.clone();
        report["findings"] = findings;
        report
    };
    let deadlock = finding("lock.deadlock", "error", "2 threads wait for each other's locks: #7 (a)");
    let crowd = finding("lock.crowd", "warning", "100 threads wait for the same lock");
    let slow = finding("report.slow", "info", "the report was slow");
    // One has none that matters, one is of another program, and one packs nowhere.
    let mut elsewhere = with(json!([slow]));
    for frame in elsewhere["frames"].as_array_mut().expect("frames") {
        if frame["function"].as_str().is_some_and(|function| function.contains("service::pack")) {
            frame["function"] = "shop::rest".into();
        }
    }
    let lines = [
        log("shop", "shop-1", &with(json!([deadlock, crowd, slow]))),
        log("shop", "shop-2", &with(json!([crowd]))),
        log("shop", "shop-2", &with(json!([crowd]))),
        log("shop", "shop-3", &with(json!([slow]))),
        log("shop", "shop-4", &elsewhere),
        log("till", "till-1", &with(json!([deadlock]))),
    ]
    .concat();

    let Some(findings) = answer(&query("findings"), &lines) else { return };
    let said: Vec<_> = findings.iter().map(|row| (&row["labels"]["pod"], &row["line"])).collect();
    let crowded = "warning: 100 threads wait for the same lock";
    let expected = [
        ("shop-1", "error: 2 threads wait for each other's locks: #7 (a)"),
        ("shop-2", crowded),
        ("shop-2", crowded),
    ];
    assert_eq!(json!(said), json!(expected));

    let trend = answer(&query("trend"), &lines).expect("it is there");
    let row = |code: &str, value: u32| json!({ "labels": { "code": code }, "value": value });
    assert_eq!(trend, [row("lock.deadlock", 1), row("lock.crowd", 2)]);

    let place = query("place").replace("shop::orders::refund", "service::pack");
    assert_ne!(place, query("place"));
    let pods = answer(&place, &lines).expect("it is there");
    assert_eq!(pods, [json!({ "labels": {}, "value": 3 })]);
}
