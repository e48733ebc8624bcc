//! How many bytes the tables take.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::program::{file, folder, ship, size};
use crate::service::reports_of;

/// Ships the reports of so many processes, and returns the bytes of their JSON and of the tables.
fn shipped(folder: &Path, processes: usize, reports: usize, threads: usize) -> (u64, u64) {
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    let mut json = 0;
    for process in 0..processes {
        for (index, report) in reports_of("1.0", reports, threads).iter().enumerate() {
            json += u64::try_from(report.len()).expect("short");
            file(&from, &format!("{process:03}-{index:03}.json"), report);
        }
    }
    let since = Instant::now();
    let said = ship(&from, &to);
    eprintln!("{said}{:?}", since.elapsed());
    let tables = size(&to);
    for (table, files) in crate::program::files(&to) {
        let bytes: u64 = files.iter().map(|path| fs::metadata(path).expect("it is there").len()).sum();
        eprintln!("{table}: {bytes}");
    }
    eprintln!("{json} bytes of JSON, {tables} bytes of tables: 1/{}", json / tables);
    (json, tables)
}

#[test]
fn tables_are_much_smaller_than_json() {
    let (json, tables) = shipped(&folder("size"), 4, 10, 100);
    assert!(tables * 10 <= json, "{tables} of {json}");
}

/// `cargo test --manifest-path gmr-fleet/Cargo.toml -- --ignored --nocapture size::`
#[test]
#[ignore = "it makes a thousand reports"]
fn a_thousand_reports_of_a_service_take_a_twentieth_of_their_json() {
    let (json, tables) = shipped(&folder("size-thousand"), 40, 25, 200);
    assert!(tables * 20 <= json, "{tables} of {json}");
}
