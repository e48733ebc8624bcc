//! A program with every kind of content, and names that would break out of a careless view. A line
//! on its standard input is a folder: it captures one report and writes it there in every format.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use gmr::task::TrackExt;
use gmr::{Format, Report};

const HOSTILE: &str = "<script>x</script>\u{1b}[2J&\"']]>";

static STOCK: Mutex<u64> = Mutex::new(0);

#[gmr::config("Database <b>")]
fn database() -> BTreeMap<&'static str, serde_json::Value> {
    let pool =
        serde_json::json!({"largest": 8, "ratio": 0.5, "hosts": ["db1", "db2"], "none": null, "below": -3});
    BTreeMap::from([("password", "hunter2".into()), ("motto", HOSTILE.into()), ("pool", pool)])
}

#[gmr::section("Motto")]
fn motto() -> String {
    format!("\nfirst line\n{HOSTILE}\n")
}

#[gmr::section("Broken")]
fn broken() -> u64 {
    panic!("no stock for {HOSTILE}")
}

#[inline(never)]
fn wait_for_stock() -> MutexGuard<'static, u64> {
    STOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

#[inline(never)]
fn wait_for_orders() {
    loop {
        thread::park();
    }
}

async fn for_an_answer() {
    let (_open, answer) = tokio::sync::oneshot::channel::<()>();
    let _ = answer.await;
}

fn start_threads() {
    for name in ["<script>alert", "a\u{1b}[31m&b", "plain"] {
        let start = || {
            gmr_tests::arrive();
            drop(wait_for_stock());
        };
        thread::Builder::new().name(name.into()).spawn(start).expect("a thread");
    }
    for number in 0..20 {
        let start = thread::Builder::new().name(format!("order-{number}"));
        let wait = || {
            gmr_tests::arrive();
            wait_for_orders();
        };
        start.spawn(wait).expect("a thread");
    }
}

fn start_tasks() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("a runtime");
    for number in 0..5 {
        let task = for_an_answer().tracked_as("<i>answer").labelled("request", format!("{HOSTILE} {number}"));
        drop(runtime.spawn(task));
    }
    drop(runtime.spawn(async { tokio::time::sleep(Duration::from_hours(1)).await }.tracked_as("sleeper")));
    runtime
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    let report = Report::capture();
    for format in [Format::Text, Format::Json, Format::JsonLines, Format::Xml, Format::Html] {
        report.write_to(File::create(folder.join(format!("report.{format}")))?, format)?;
    }
    Ok(())
}

#[gmr::main(product = "views", version = "1.0")]
fn main() {
    let _held = wait_for_stock();
    start_threads();
    let _runtime = start_tasks();
    gmr_tests::settle(23);
    gmr_tests::converse(|folder| match write_all(Path::new(folder)) {
        Ok(()) => "written".to_owned(),
        Err(error) => error.to_string(),
    });
}
