//! `gmr ship`: what it reads, what it leaves out, and where things get to.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use gmr_runtime::Report;
use serde_json::Value;

use crate::program::{column, command, file, files, fleet, fleet_on, folder, reports, ship};
use crate::service::reports_of;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn a_report_is_there_once_however_often_and_in_whichever_form_it_comes() {
    let folder = folder("forms");
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    let lines = reports_of("1.0", 3, 4);
    let pretty: Value = serde_json::from_str(&lines[0]).expect("JSON");
    file(&from, "one.json", &lines[0]);
    file(&from, "two.json.gz", gzip(&lines[1]));
    let third = Report::from_json(&lines[2]).expect("a report").to_json_lines();
    let prefixed = third.lines().map(|line| format!("2026-01-01 shop[7]: {line}\nGET / 200\n"));
    let log = prefixed.collect::<Vec<_>>().concat();
    file(&from, "log", &log);
    file(&from, "log.1", format!("{log}started\n{}\n", lines[1]));
    file(&from, "notes", "restart at noon\n");
    file(&from, "broken.json", &lines[0][..lines[0].len() / 2]);
    file(&from, "other.json", "{\"schema_version\":\"9.0\"}");
    let said = ship(&from, &to);
    assert!(said.contains("3 reports added to ") && said.contains(" in 1 batch, 2 there already"), "{said}");
    assert!(said.contains("left out: ") && said.contains("other.json: line 1: "), "{said}");
    let all = reports(&to);
    assert_eq!(all.len(), 3);
    // Once more, and from standard input.
    assert!(ship(&from, &to).contains("0 reports added"), "{said}");
    let path = to.display().to_string();
    fleet_on(&["ship", "-", &path], &gzip(&log)).well();
    fleet_on(&["ship", "-", &path], lines.join("\n").as_bytes()).well();
    // JSON that something has reformatted is the same, if nothing has moved in it.
    let spaced = lines[0].replacen("{\"schema_version\":", "{ \"schema_version\" : ", 1);
    assert_eq!(serde_json::from_str::<Value>(&spaced).expect("JSON"), pretty);
    file(&from, "spaced.json", spaced);
    ship(&from, &to);
    assert_eq!(reports(&to), all);
    // One of which not all is there comes with the next run.
    file(&from, "broken.json", reports_of("1.0", 1, 4).remove(0));
    assert!(ship(&from, &to).contains("1 report added"));
    assert_eq!(reports(&to).len(), 4);
}

#[test]
fn files_are_for_their_user_and_in_the_folders_of_service_and_date() {
    let folder = folder("places");
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    let mut report: Value = serde_json::from_str(&reports_of("1.0", 1, 4)[0]).expect("JSON");
    file(&from, "a", report.to_string());
    for (name, product, time) in
        [("b", "../../etc", "2026-01-02T03:04:05.678Z"), ("c", "a/b='x'\u{1b}[2J", "yesterday\n/../")]
    {
        for section in report["sections"].as_array_mut().expect("sections") {
            if section["content"]["kind"] == "package" {
                section["content"]["data"]["product"] = product.into();
            }
        }
        report["heading"]["made_at"] = time.into();
        file(&from, name, report.to_string());
    }
    ship(&from, &to);
    let files = files(&to);
    assert_eq!(files.len(), 9, "{files:?}");
    let mut services = Vec::new();
    for path in files.values().flatten() {
        assert_eq!(fs::metadata(path).expect("it is there").permissions().mode() & 0o777, 0o600);
        let place = path.strip_prefix(&to).expect("inside").display().to_string();
        let parts: Vec<&str> = place.split('/').collect();
        assert!(parts.len() == 4 && place.is_ascii() && !place.contains(".."), "{place}");
        services.push(format!("{}/{}", parts[0], parts[1]));
    }
    services.sort_unstable();
    services.dedup();
    assert_eq!(services.len(), 3, "{services:?}");
    assert!(services.iter().any(|service| service.starts_with("service=shop/date=20")), "{services:?}");
    assert!(services.iter().any(|service| service.contains("/date=2026-01-02")), "{services:?}");
    assert!(services.iter().any(|service| service.ends_with("/date=unknown")), "{services:?}");
    assert_eq!(fs::metadata(&to).expect("it is there").permissions().mode() & 0o777, 0o700);
    let mut programs: Vec<String> = column(&to, "reports", "program").into_iter().flatten().collect();
    programs.sort_unstable();
    assert_eq!(programs, ["../../etc", "a/b='x'\u{1b}[2J", "shop"]);
}

#[test]
fn the_same_stack_has_the_same_id_in_each_process_of_a_build() {
    let folder = folder("ids");
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    for index in 0..3 {
        file(&from, &index.to_string(), reports_of(&format!("{index}.0"), 1, 40).remove(0));
    }
    // Each in a batch of its own.
    let arguments = [&from, &to].map(|path| path.display().to_string());
    fleet(&["ship", &arguments[0], &arguments[1], "--batch", "1"]).well();
    let workers = |wanted: &str| {
        let names = column(&to, "threads", "name");
        let values = column(&to, "threads", wanted);
        let mut values: Vec<Option<String>> = names
            .iter()
            .zip(values)
            .filter(|(name, _)| name.as_deref().is_some_and(|name| name.starts_with("worker-")))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(values.len(), 3 * 40);
        values.sort_unstable();
        values.dedup();
        values
    };
    // Three functions: each worker of all three processes is in one of them.
    assert_eq!((workers("stack_id").len(), workers("place_id").len()), (3, 3));
    let places = column(&to, "places", "place_id").len();
    assert!(places >= 9, "each batch has what it needs: {places}");
}

#[test]
fn it_watches_a_folder() {
    let folder = folder("watch");
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    let lines = reports_of("1.0", 3, 4);
    file(&from, "0.json", &lines[0]);
    let arguments = [&from, &to].map(|path| path.display().to_string());
    let mut command = command(&["ship", &arguments[0], &arguments[1], "--watch", "50ms"]);
    let mut child = command.stderr(Stdio::null()).spawn().expect("it starts");
    let mut wait_for = |count| {
        let since = Instant::now();
        while !to.is_dir() || reports(&to).len() < count {
            assert!(since.elapsed() < Duration::from_mins(1), "{count} reports did not come");
            assert!(child.try_wait().expect("its state").is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for(1);
    // A file that is being written.
    let half = lines[1].len() / 2;
    file(&from, "1.json", &lines[1][..half]);
    file(&from, "2.json", &lines[2]);
    wait_for(2);
    file(&from, "1.json", &lines[1]);
    wait_for(3);
    child.kill().expect("it lives");
    child.wait().expect("it ends");
    assert_eq!(reports(&to).len(), 3);
}

#[test]
fn what_waits_on_standard_input_is_written_without_more() {
    let folder = folder("delay");
    let to = folder.join("out");
    let mut command = command(&["ship", "-", &to.display().to_string(), "--delay", "100ms"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    writeln!(input, "started\n{}", reports_of("1.0", 1, 4)[0]).expect("it reads");
    let since = Instant::now();
    while !to.is_dir() || reports(&to).is_empty() {
        assert!(since.elapsed() < Duration::from_mins(1), "it did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn several_can_write_at_the_same_time() {
    let folder = folder("several");
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    for (index, report) in reports_of("1.0", 12, 4).iter().enumerate() {
        file(&from, &format!("{index:02}"), report);
    }
    let arguments = [&from, &to].map(|path| path.display().to_string());
    let start = |batch: &str| {
        let mut command = command(&["ship", &arguments[0], &arguments[1], "--batch", batch]);
        command.stderr(Stdio::null()).spawn().expect("it starts")
    };
    let children = ["1", "5", "100", "3"].map(start);
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let all = reports(&to);
    let mut distinct = all.clone();
    distinct.dedup();
    assert_eq!((all.len(), distinct.len()), (12, 12));
}

#[test]
fn what_is_wrong_is_said() {
    let folder = folder("wrong");
    let to = folder.join("out").display().to_string();
    let none = folder.join("none").display().to_string();
    assert!(fleet(&["ship", &none, &to]).failed(1).contains("could not read"));
    assert!(fleet(&["ship", "-", &to]).failed(1).contains("no report"));
    assert!(fleet_on(&["ship", "-", &to], b"{\"schema_version\":\"9.0\"}\n").failed(1).contains("line 1"));
    assert!(fleet(&["ship", "-", &to, "--watch"]).failed(1).contains("without --watch"));
    assert!(fleet(&["ship", "-"]).failed(2).contains("DEST"));
    let taken = file(&folder, "file", "x");
    let report = file(&folder, "report.json", Report::capture().to_json());
    assert!(fleet(&["ship", &report, &taken]).failed(1).contains("could not"));
}
