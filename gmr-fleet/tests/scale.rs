//! What many reports take: bytes, time and memory. The reports are made from one of a real process: of
//! fifty builds, each of another process, and no two with the same figures.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gmr_runtime::Report;
use serde_json::{Value, json};

use crate::documents::Random;
use crate::planted::section;
use crate::program::{command, folder, size};
use crate::service::reports_of;

const BUILDS: u64 = 50;
const THREADS: usize = 200;

/// Where modules can be in memory.
const PAGE: u64 = 4_096;

/// A report as one of a build: other addresses, lines and ids, in every tenth no names of functions, and
/// in every fifth of the others another function.
fn of_build(report: &Value, build: u64) -> Value {
    let mut report = report.clone();
    let program = section(&mut report, "package")["build_id"].clone();
    let id = format!("{:040x}", build + 1);
    for frame in report["frames"].as_array_mut().expect("frames") {
        if frame["build_id"] != program {
            continue;
        }
        frame["build_id"] = id.as_str().into();
        // The tests' release build has no symbols. Nine of ten builds have.
        if frame["function"].is_null() && !build.is_multiple_of(10) {
            frame["function"] = format!("shop::at_{}", frame["module_offset"]).into();
        }
        moved(frame, &["module_offset", "address"], build * 64);
        if frame["file"].as_str().is_some_and(|file| file.starts_with("tests/")) {
            moved(frame, &["line"], build % 7);
        }
        if build % 5 == 1
            && let Some(function) = frame["function"].as_str()
        {
            let renamed = function.replace("::deliver", "::deliver_all").replace("::at_1", "::at_one_1");
            frame["function"] = renamed.into();
        }
    }
    let package = section(&mut report, "package");
    package["build_id"] = id.into();
    package["version"] = format!("1.{build}").into();
    report["summary"]["threads"] = THREADS.into();
    report
}

/// Adds to numbers that are there.
fn moved(object: &mut Value, names: &[&str], by: u64) {
    for name in names {
        if let Some(number) = object[*name].as_u64() {
            object[*name] = (number + by).into();
        }
    }
}

/// A report as one of another process.
fn of_process(report: &Value, index: u64, random: &mut Random) -> Value {
    let mut report = report.clone();
    let second = index % 86_400;
    let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    report["heading"]["pid"] = (1_000 + random.below(30_000)).into();
    report["heading"]["made_at"] = format!("2026-01-02T{time}.{:03}Z", random.below(1_000)).into();
    report["summary"]["took_us"] = (10_000 + random.below(20_000)).into();
    let package = section(&mut report, "package");
    package["host"] = format!("shop-{index}").into();
    package["started_at"] = format!("2026-01-01T{time}Z").into();
    package["uptime_ms"] = (86_400_000 + random.below(1_000)).into();

    // Each module is somewhere else in each process.
    let base = PAGE * random.below(1 << 30);
    report["frames"]
        .as_array_mut()
        .expect("frames")
        .iter_mut()
        .for_each(|frame| moved(frame, &["address"], base));

    let threads = section(&mut report, "threads")["threads"].as_array_mut().expect("threads");
    threads.truncate(THREADS);
    let pipe = format!("pipe:[{}]", random.below(1 << 24));
    for (thread, row) in threads.iter_mut().zip(0_u64..) {
        thread["tid"] = (1_000 + row + 200 * random.below(100)).into();
        for (name, most) in
            [("cpu_user_ms", 90_000), ("cpu_system_ms", 9_000), ("at_rest_ms", 600_000), ("last_cpu", 16)]
        {
            thread[name] = random.below(most).into();
        }
        thread["cpu_us"] = random.below(90_000_000).into();
        if thread["waiting"]["target"].is_string() {
            thread["waiting"]["target"] = pipe.as_str().into();
        }
        // Where it is exactly differs: some are one or two calls further out, and few are elsewhere.
        let less = match random.below(1_000) {
            0 => 6,
            chance => chance / 400,
        };
        let frames = thread["stack"]["frames"].as_array_mut().expect("frames");
        frames.drain(..usize::try_from(less).expect("few").min(frames.len() / 2));
    }
    for task in section(&mut report, "green_threads")["tasks"].as_array_mut().expect("tasks") {
        let ms = random.below(60_000);
        task["state"] = json!({ "kind": "waiting", "waiting_ms": ms });
        task["age_ms"] = (ms + random.below(1_000)).into();
    }
    let resources = section(&mut report, "resources");
    for name in ["resident_bytes", "anonymous_bytes", "peak_resident_bytes", "virtual_bytes"] {
        moved(&mut resources["memory"], &[name], PAGE * random.below(10_000));
    }
    for name in ["minor_faults", "voluntary_switches", "involuntary_switches", "cpu_user_ms"] {
        moved(&mut resources["usage"], &[name], random.below(1 << 20));
    }
    let findings = report["findings"].as_array_mut().expect("findings");
    if let Some(finding) = findings.first_mut() {
        finding["message"] =
            format!("20 tasks have been waiting for {} ms, no task for longer", random.below(60_000)).into();
    }
    if index.is_multiple_of(10) {
        let message = format!("{} threads wait for the same lock", 2 + random.below(100));
        findings.push(json!({
            "code": "lock.crowd", "severity": "warning", "message": message, "threads": [], "tasks": []
        }));
    }
    report
}

/// What a process has taken, as the kernel says.
struct Taken {
    elapsed: Duration,
    /// In hundredths of a second.
    processor: u64,
    peak_kib: u64,
}

/// Waits for it to end, which must go well.
fn taken(mut child: Child, since: Instant) -> Taken {
    let process = Path::new("/proc").join(child.id().to_string());
    let mut peak_kib = 0;
    let processor = loop {
        let status = fs::read_to_string(process.join("status")).expect("it has not been waited for");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix(" kB"));
        peak_kib = peak.map_or(peak_kib, |peak| peak.trim().parse().expect("a number"));
        let stat = fs::read_to_string(process.join("stat")).expect("it has not been waited for");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let fields: Vec<_> = fields.split(' ').collect();
        if fields[0] == "Z" {
            break fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        }
        thread::sleep(Duration::from_millis(2));
    };
    let elapsed = since.elapsed();
    assert!(child.wait().expect("it has ended").success());
    Taken { elapsed, processor, peak_kib }
}

fn asked(arguments: &[&str]) -> Taken {
    let mut command = command(arguments);
    command.stdout(Stdio::null());
    let since = Instant::now();
    taken(command.spawn().expect("it starts"), since)
}

/// Ships so many reports. Returns how many bytes of JSON they had.
fn shipped(reports: u64, to: &str) -> (u64, Taken) {
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, THREADS)[0]).expect("JSON");
    let builds: Vec<Value> = (0..BUILDS).map(|build| of_build(&report, build)).collect();
    let mut command = command(&["ship", "-", to, "--delay", "1h"]);
    let since = Instant::now();
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let input = child.stdin.take().expect("it is piped");
    let writer = thread::spawn(move || {
        let (mut out, mut random, mut bytes) = (BufWriter::new(input), Random(20), 0);
        for index in 0..reports {
            let build = usize::try_from(index % BUILDS).expect("few");
            let report = of_process(&builds[build], index, &mut random).to_string();
            // As a process writes it.
            let report = Report::from_json(&report).expect("a report").to_json();
            bytes += u64::try_from(report.len()).expect("short");
            out.write_all(report.as_bytes()).expect("it reads");
        }
        out.flush().expect("it reads");
        bytes
    });
    let taken = taken(child, since);
    (writer.join().expect("written"), taken)
}

/// `FLEET_REPORTS=1000,100000 cargo test --release --manifest-path gmr-fleet/Cargo.toml --target-dir
/// target/fleet -- --ignored --nocapture scale::`
#[test]
#[ignore = "it is measured in a release build"]
fn many_reports() {
    let given = std::env::var("FLEET_REPORTS").unwrap_or_else(|_| "1000".to_owned());
    let folder = folder("scale");
    for reports in given.split(',').map(|number| number.parse::<u64>().expect("a number")) {
        let tables = folder.join(reports.to_string()).display().to_string();
        let (json, ship) = shipped(reports, &tables);
        eprintln!("{reports} reports: {json} bytes of JSON, {} bytes of tables", size(Path::new(&tables)));
        let show = |name: &str, taken: &Taken| {
            let Taken { elapsed, processor, peak_kib } = taken;
            let (processor, peak) = (Duration::from_millis(processor * 10), peak_kib / 1_024);
            eprintln!("{name}: {elapsed:.1?}, {processor:.1?} of processors, {peak} MiB");
        };
        show("ship", &ship);
        let page = folder.join("page").display().to_string();
        let sides = ["version=1.1", "version=1.2"];
        let questions: [(&str, &[&str]); 6] = [
            ("stacks", &[]),
            ("findings", &[]),
            ("diff", &sides),
            ("outliers", &[]),
            ("trend", &[]),
            ("page", &[&page]),
        ];
        for (question, arguments) in questions {
            let taken = asked(&[&["fleet", question, &tables], arguments].concat());
            show(question, &taken);
            let most = if reports <= 1_000 { 1 } else { 30 };
            let is_measured = question == "stacks" && reports <= 100_000 && !cfg!(debug_assertions);
            assert!(!is_measured || taken.elapsed <= Duration::from_secs(most), "{:?}", taken.elapsed);
        }
    }
}
