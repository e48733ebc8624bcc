//! Tables in object storage: the same answers as from a folder, whatever a storage does to requests,
//! and whenever a run is killed.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::documents::Random;
use crate::planted;
use crate::program::{Done, command, done, file, folder, reports, wait_for};
use crate::s3::{Proxy, Server, access};
use crate::service::reports_of;

/// The program with access to a server at this port.
fn with_access(port: u16, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.envs(access(port));
    command
}

fn run(port: u16, arguments: &[&str]) -> Done {
    done(with_access(port, arguments), b"")
}

fn rows(port: u16, question: &str, tables: &str, arguments: &[&str]) -> Vec<Value> {
    let json = run(port, &[&["fleet", question, tables, "--json"], arguments].concat()).well();
    serde_json::from_str(&json).expect("JSON")
}

/// The ids of all reports, of which none is there twice.
fn ids(port: u16, tables: &str) -> Vec<Value> {
    let rows = rows(
        port,
        "sql",
        tables,
        &["SELECT report_id, count(*) AS count FROM reports GROUP BY 1 ORDER BY 1"],
    );
    assert!(rows.iter().all(|row| row["count"] == 1), "{rows:?}");
    rows.into_iter().map(|mut row| row["report_id"].take()).collect()
}

/// Reports of so many processes, in a folder.
fn sources(from: &Path, count: u32) {
    fs::create_dir(from).expect("a folder");
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, 8)[0]).expect("JSON");
    for index in 0..count {
        let mut report = report.clone();
        report["heading"]["pid"] = (1_000 + index).into();
        report["heading"]["made_at"] = format!("2026-01-0{}T03:04:05.678Z", 1 + index % 2).into();
        file(from, &format!("{index:02}.json"), report.to_string());
    }
}

const QUESTIONS: [(&str, &[&str]); 5] = [
    ("stacks", &[]),
    ("findings", &[]),
    ("diff", &["version=1.0", "version=1.1"]),
    ("outliers", &[]),
    ("trend", &[]),
];

#[test]
fn answers_are_those_of_a_folder_also_from_a_storage_that_fails() {
    let Some(server) = Server::start() else { return };
    let folder = folder("objects");
    let tables = planted::tables(&folder);
    let from = folder.join("in").display().to_string();
    let local = tables.display().to_string();
    let expected = QUESTIONS.map(|(question, arguments)| rows(0, question, &local, arguments));
    // A prefix as somebody may have it, and one that begins like another.
    let well = "s3://reports/all of=them/~1";
    run(server.port(), &["ship", &from, well, "--batch", "7"]).well();
    let proxy = Proxy::start(&server, 3);
    let badly = "s3://reports/all of=them/~1b";
    run(proxy.port, &["ship", &from, badly, "--batch", "7"]).well();
    assert!(proxy.planted() > 10, "{}", proxy.planted());
    for (port, to) in [(server.port(), well), (server.port(), badly), (proxy.port, badly)] {
        assert_eq!(
            QUESTIONS.map(|(question, arguments)| rows(port, question, to, arguments)),
            expected,
            "{to}"
        );
    }
    let reports = reports(&tables);
    assert_eq!(ids(server.port(), badly), reports.iter().map(|id| json!(id)).collect::<Vec<_>>());
    // Once more, nothing is added.
    let again = run(server.port(), &["ship", &from, badly]);
    assert!(again.errors.contains("0 reports added to s3://reports/all of=them/~1b"), "{}", again.errors);
    // A report is as that of the folder.
    let report = |tables: &str| -> Value {
        let json = run(server.port(), &["fleet", "report", tables, &reports[0]]).well();
        serde_json::from_str(&json).expect("JSON")
    };
    assert_eq!(report(well), report(&local));
    // Folders of other services and dates are left out here as well.
    let of_day =
        |tables| rows(server.port(), "stacks", tables, &["--date", "2026-01-01", "--service", "shop"]);
    assert_eq!(of_day(well), of_day(&local));
}

#[test]
fn a_batch_that_has_not_arrived_is_not_read() {
    let Some(server) = Server::start() else { return };
    let folder = folder("objects-part");
    let from = folder.join("in");
    sources(&from, 4);
    let from = from.display().to_string();
    run(server.port(), &["ship", &from, "s3://reports/x"]).well();
    let all = ids(server.port(), "s3://reports/x");
    assert_eq!(all.len(), 4);
    let threads = rows(server.port(), "sql", "s3://reports/x", &["SELECT count(*) AS count FROM threads"]);
    // What a run that was killed leaves: of two batches, one lacks what is written last.
    let is_last = |name: &&String| name.contains("date=2026-01-01") && name.ends_with("/reports.parquet");
    let last = server.objects().iter().find(is_last).expect("it is there").clone();
    server.request("DELETE", &format!("/reports/{}", last.replace('=', "%3D")));
    assert_eq!(ids(server.port(), "s3://reports/x").len(), 2);
    let left = rows(server.port(), "sql", "s3://reports/x", &["SELECT count(*) AS count FROM threads"]);
    assert_eq!(left[0]["count"].as_u64().map(|count| 2 * count), threads[0]["count"].as_u64());
    // The next run adds it.
    run(server.port(), &["ship", &from, "s3://reports/x"]).well();
    assert_eq!(ids(server.port(), "s3://reports/x"), all);
    // Of one that was there, something is missing: that is an error.
    let threads = last.replace("/reports.parquet", "/threads.parquet");
    server.request("DELETE", &format!("/reports/{}", threads.replace('=', "%3D")));
    let error = run(server.port(), &["fleet", "stacks", "s3://reports/x"]).failed(1);
    assert!(error.contains("threads.parquet: it is not there; move s3://reports/x/service=shop/"), "{error}");
}

#[test]
fn what_waits_arrives_once_the_storage_answers_again() {
    let Some(server) = Server::start() else { return };
    let proxy = Proxy::start(&server, 1_000_000);
    let lines = reports_of("1.0", 3, 4);
    let arguments = ["ship", "-", "s3://reports/x", "--delay", "10ms"];
    let mut command = with_access(proxy.port, &arguments);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    let (errors, said) = (child.stderr.take().expect("it is piped"), Arc::new(Mutex::new(String::new())));
    let reader = {
        let said = Arc::clone(&said);
        let add = move |line: io::Result<String>| said.lock().expect("text").push_str(&line.expect("text"));
        thread::spawn(move || BufReader::new(errors).lines().for_each(add))
    };
    writeln!(input, "{}", lines[0]).expect("it reads");
    wait_for(&mut child, || server.objects().len() == 9);
    proxy.set(0);
    writeln!(input, "{}\n{}", lines[1], lines[2]).expect("it reads");
    wait_for(&mut child, || said.lock().expect("text").contains("; trying again in 1s"));
    proxy.set(1_000_000);
    wait_for(&mut child, || server.objects().len() >= 18);
    drop(input);
    assert!(child.wait().expect("it ends").success());
    reader.join().expect("read");
    assert_eq!(ids(server.port(), "s3://reports/x").len(), 3);
}

#[test]
fn what_is_wrong_with_a_storage_is_said() {
    let Some(server) = Server::start() else { return };
    let folder = folder("objects-wrong");
    let from = folder.join("in");
    sources(&from, 1);
    let from = from.display().to_string();
    let port = server.port();
    let error = run(port, &["ship", &from, "s3://nothing/x"]).failed(1);
    assert!(error.contains("could not list s3://nothing/x: ") && error.lines().count() == 1, "{error}");
    assert!(run(port, &["fleet", "stacks", "s3://nothing/x"]).failed(1).contains("could not list"));
    let error = run(port, &["fleet", "stacks", "s3://reports/x"]).failed(1);
    assert!(error.contains("there are no tables in s3://reports/x; "), "{error}");
    assert!(run(port, &["ship", &from, "s3://reports/../x"]).failed(2).contains("s3://reports/../x"));
    assert!(run(port, &["ship", &from, "s3:///x"]).failed(2).contains("expected `s3://BUCKET/PREFIX`"));
    for (address, feature) in [("gs://reports/x", "gcp"), ("az://reports/x", "azure")] {
        if !cfg!(feature = "gcp") && !cfg!(feature = "azure") {
            let error = run(port, &["ship", &from, address]).failed(1);
            assert!(error.contains(&format!("without the feature `{feature}`")), "{error}");
        }
    }
    assert_eq!(fs::read_dir(folder.join("in")).expect("a folder").count(), 1, "sources stay");
}

/// `FLEET_KILLS=1000 cargo xtask fleet` kills it more often.
#[test]
fn a_run_that_is_killed_loses_nothing() {
    let Some(server) = Server::start() else { return };
    let kills: u64 = std::env::var("FLEET_KILLS").map_or(10, |kills| kills.parse().expect("a number"));
    let folder = folder("objects-killed");
    let from = folder.join("in");
    sources(&from, 12);
    let from = from.display().to_string();
    let start = |to: &str| {
        let mut command = with_access(server.port(), &["ship", &from, to, "--batch", "3"]);
        command.stderr(Stdio::null()).spawn().expect("it starts")
    };
    let since = Instant::now();
    assert!(start("s3://reports/whole").wait().expect("it ends").success());
    let took = u64::try_from(since.elapsed().as_micros()).expect("short");
    let expected = ids(server.port(), "s3://reports/whole");
    assert_eq!(expected.len(), 12);
    let (mut random, mut killed, mut round) = (Random(7), 0, 0);
    while killed < kills {
        round += 1;
        let (to, mut before) = (format!("s3://reports/{round}"), 0);
        loop {
            let mut child = start(&to);
            // Mostly while something is being written.
            thread::sleep(Duration::from_micros(random.below(took)));
            let _ = child.kill();
            if child.wait().expect("it ends").success() {
                break;
            }
            killed += 1;
            let sql = "SELECT report_id, count(*) AS count FROM reports GROUP BY 1";
            let now = run(server.port(), &["fleet", "sql", &to, sql, "--json"]);
            // Before the first batch is there, there are no tables.
            let there: Vec<Value> = match now.code {
                Some(0) => serde_json::from_str(&now.output).expect("JSON"),
                _ => Vec::new(),
            };
            assert!(there.iter().all(|row| row["count"] == 1) && there.len() >= before, "{there:?}");
            before = there.len();
        }
        assert_eq!(ids(server.port(), &to), expected);
    }
    eprintln!("killed {killed} times in {round} rounds");
}
