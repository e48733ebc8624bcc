//! `gmr ship` is killed at any point, again and again. Nothing is lost, and nothing is there twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::documents::Random;
use crate::program::{column, command, file, files, folder, reports};
use crate::service::reports_of;

/// How many rows each table has, and the ids in it.
fn rows(tables: &Path) -> BTreeMap<String, Vec<Option<String>>> {
    let of = |(table, _): (String, _)| {
        let id = match &*table {
            "stacks" => "stack_id",
            "places" => "place_id",
            _ => "report_id",
        };
        let mut ids = column(tables, &table, id);
        ids.sort_unstable();
        if id != "report_id" {
            // Each batch has those that it needs.
            ids.dedup();
        }
        (table, ids)
    };
    files(tables).into_iter().map(of).collect()
}

/// `FLEET_KILLS=1000 cargo xtask fleet` kills it more often.
#[test]
fn nothing_is_lost_and_nothing_is_there_twice() {
    let kills: u64 = std::env::var("FLEET_KILLS").map_or(25, |kills| kills.parse().expect("a number"));
    let folder = folder("killed");
    let from = folder.join("in");
    fs::create_dir(&from).expect("a folder");
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, 30)[0]).expect("JSON");
    for index in 0..40 {
        let mut report = report.clone();
        report["heading"]["pid"] = (1_000 + index).into();
        report["heading"]["made_at"] = format!("2026-01-0{}T03:04:05.678Z", 1 + index % 2).into();
        file(&from, &format!("{index:02}.json"), report.to_string());
    }
    let run = |to: &Path| {
        let arguments = [&from, &to.to_owned()].map(|path| path.display().to_string());
        let mut command = command(&["ship", &arguments[0], &arguments[1], "--batch", "3"]);
        command.stderr(Stdio::null()).spawn().expect("it starts")
    };
    let whole = folder.join("whole");
    let since = Instant::now();
    assert!(run(&whole).wait().expect("it ends").success());
    let took = u64::try_from(since.elapsed().as_micros()).expect("short");
    let expected = rows(&whole);
    assert_eq!(reports(&whole).len(), 40);
    let (mut random, mut killed, mut round) = (Random(7), 0, 0);
    while killed < kills {
        let to = folder.join("killed");
        let _ = fs::remove_dir_all(&to);
        let mut left = Vec::new();
        loop {
            let mut child = run(&to);
            // Rarely after all of it: mostly while something is being written.
            thread::sleep(Duration::from_micros(random.below(took / 2)));
            let _ = child.kill();
            let has_ended = child.wait().expect("it ends").success();
            if has_ended {
                break;
            }
            killed += 1;
            // At any time, what a reader finds is whole.
            let now = if to.is_dir() { reports(&to) } else { Vec::new() };
            let mut distinct = now.clone();
            distinct.dedup();
            assert_eq!(distinct.len(), now.len(), "twice");
            left.push(now.len());
            if left.len() > 20 {
                // Each run reads all sources again, so the last one is left to end.
                assert!(run(&to).wait().expect("it ends").success());
                break;
            }
        }
        assert!(left.is_sorted(), "something is lost: {left:?}");
        assert_eq!(rows(&to), expected, "after {left:?}");
        let staging: Vec<_> =
            fs::read_dir(&to).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        assert!(
            !staging.iter().any(|name| name == ".staging")
                || fs::read_dir(to.join(".staging")).expect("a folder").count() == 0
        );
        round += 1;
    }
    eprintln!("killed {killed} times in {round} rounds");
}
