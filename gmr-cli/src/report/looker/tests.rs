//! Looks at this process, which has gmr.

use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

use gmr_runtime::model::{Role, Thread};

use super::*;

fn threads(report: &Report) -> &[Thread] {
    let section = report.section("Threads").map(|section| &section.content);
    let Some(Content::Threads(section)) = section else { panic!("{report}") };
    &section.threads
}

#[inline(never)]
fn waits_to_be_told() -> impl FnOnce() {
    let (sender, receiver) = channel::<()>();
    let (starts, started) = channel::<()>();
    let thread = thread::Builder::new().name("told".to_owned()).spawn(move || {
        // It has its name only now.
        drop(starts);
        let _ = receiver.recv();
        std::hint::black_box(0);
    });
    let _ = started.recv();
    move || {
        drop(sender);
        thread.expect("it starts").join().expect("it ends");
    }
}

/// In a process of its own: other tests of this one request whole reports, which a look gets, too.
#[test]
fn many_looks_show_threads_and_nothing_else() {
    const ALONE: &str = "GMR_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let program = std::env::current_exe().expect("this program");
        let name = "report::looker::tests::many_looks_show_threads_and_nothing_else";
        let output = Command::new(program).args(["--exact", name, "--nocapture"]).env(ALONE, "1").output();
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
        return;
    }
    let _guard = gmr_runtime::Builder::new().install().expect("installed");
    let pid = std::process::id();
    let end = waits_to_be_told();
    let mut looker = Looker::new(&pid.to_string(), true).expect("it can be asked");
    let mut known: Option<(Thread, u32)> = None;
    let mut unnoticed = 0;
    for _ in 0..20 {
        let report = looker.look().expect("a look");
        assert_eq!((report.heading.number, report.heading.pid), (0, pid));
        let titles: Vec<&str> = report.sections.iter().map(|section| &*section.title).collect();
        assert_eq!(titles, ["Threads"]);
        assert!(report.findings.is_empty() && report.frames.iter().all(|frame| frame.source.is_none()));
        let thread = threads(&report).iter().find(|thread| thread.name == "told").expect("it is there");
        let functions: Vec<&str> =
            report.stack_frames(&thread.stack).filter_map(|frame| frame.function.as_deref()).collect();
        assert!(functions.iter().any(|name| name.contains("waits_to_be_told")), "{functions:?}");
        let files = threads(&report).iter().filter(|thread| thread.name == "gmr attach");
        assert!(files.clone().all(|thread| thread.role == Role::Gmr) && files.count() <= 1);
        // A thread that waits does not notice, unless the kernel has it take the report signal:
        // usually that is the main thread.
        if let Some((before, looked_by)) = &mut known {
            assert_eq!(thread.stack.taken, before.stack.taken);
            assert_eq!(looker.thread, Some(*looked_by), "the file is that of the same thread");
            unnoticed += u32::from(thread.cpu_us == before.cpu_us);
            *before = thread.clone();
        } else if thread.at_rest_ms.is_some() {
            assert!(thread.cpu_us.is_some());
            known = Some((thread.clone(), looker.thread.expect("it had the file")));
        }
    }
    assert!(known.is_some() && unnoticed > 0);
    end();
    let mut looker = Looker::new(&pid.to_string(), false).expect("it can be asked");
    let report = looker.look().expect("a look");
    let titles: Vec<&str> = report.sections.iter().map(|section| &*section.title).collect();
    assert_eq!(titles, ["Threads", "Green Threads"]);
}

/// Prints what looks cost the process of this id, and what whole reports as JSON do: `cargo test
/// --release -p gmr-cli --bin gmr -- --ignored --nocapture cost`.
#[test]
#[ignore = "it prints figures of the process that GMR_LOOK_AT names"]
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn what_looks_cost() {
    const COUNT: u32 = 100;
    let pid = std::env::var("GMR_LOOK_AT").expect("the id of a process");
    let used = || -> u64 {
        let own = |path: std::path::PathBuf| -> Option<u64> {
            let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok()
        };
        let living = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
        let living: u64 = living.filter_map(|thread| own(thread.path())).sum();
        living
    };
    let clock = || {
        // Of threads that have ended as well, in units of 10 ms.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_ascii_whitespace().collect();
        (fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")) * 10
    };
    let mut looker = Looker::new(&pid, true).expect("it can be asked");
    let report = |target: &Target| {
        let attach = Attach { is_json: true, without_tasks: true, is_look: false, token: attach::token() };
        attach::request(target, attach).and_then(|offered| offered.report(target)).expect("a report")
    };
    for _ in 0..3 {
        looker.look().expect("a look");
    }
    let shown = looker.look().expect("a look");
    let size = shown.to_json().len();
    let (before, of_living, started) = (clock(), used(), std::time::Instant::now());
    for _ in 0..COUNT {
        looker.look().expect("a look");
    }
    println!(
        "{} threads, {size} bytes: a look takes {:.2} ms of processor time ({:.2} ms in threads that live), {:.2} ms",
        threads(&shown).len(),
        (clock() - before) as f64 / f64::from(COUNT),
        (used() - of_living) as f64 / 1e6 / f64::from(COUNT),
        started.elapsed().as_secs_f64() * 1e3 / f64::from(COUNT),
    );
    let whole = report(&looker.target);
    let (before, started) = (clock(), std::time::Instant::now());
    for _ in 0..COUNT / 4 {
        // Files of reports stay open for two seconds.
        looker.target.wait(std::time::Duration::from_millis(200));
        report(&looker.target);
    }
    println!(
        "a report of {} bytes takes {:.2} ms of processor time, {:.2} ms",
        whole.to_json().len(),
        (clock() - before) as f64 / f64::from(COUNT / 4),
        started.elapsed().as_secs_f64() * 1e3 / f64::from(COUNT / 4) - 200.0,
    );
}
