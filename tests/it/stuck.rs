//! Deadlocks are found, and healthy programs that look like one are not taken for one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::builds::{OF_FINDINGS, of_findings};
use crate::program::{Program, program, wait_until};
use crate::report::{Report, list, text};
use crate::text::Text;

/// The modes with a deadlock: the finding's code, how many threads are in it, and what it is about.
const DEADLOCKS: [(&str, &str, usize, &str); 20] = [
    ("mutex-2", "deadlock.std-lock", 2, "two threads, two `Mutex` of a struct on the heap"),
    ("mutex-3", "deadlock.std-lock", 3, "three threads, three `Mutex` in an `Arc`"),
    ("mutex-5", "deadlock.std-lock", 5, "five threads, five `Mutex` in an `Arc`"),
    ("static", "deadlock.std-lock", 2, "two `Mutex` in statics"),
    ("boxed", "deadlock.std-lock", 2, "guards in boxes"),
    ("in-struct", "deadlock.std-lock", 2, "guards in structs"),
    ("rwlock", "deadlock.std-lock", 2, "two `RwLock`, read and then write"),
    ("rwlock-write", "deadlock.std-lock", 2, "two `RwLock`, write and then read"),
    ("upgrade", "deadlock.self", 1, "a `RwLock`, read and then write"),
    ("read-twice", "deadlock.self", 1, "a `RwLock`, read twice, with a writer in between"),
    ("twice", "deadlock.self", 1, "a `Mutex`, locked twice"),
    ("twice-static", "deadlock.self", 1, "a `Mutex` in a static, locked twice"),
    ("once", "deadlock.self", 1, "an `OnceLock` that initializes itself"),
    ("pthread", "deadlock.pthread-mutex", 2, "two mutexes of the C library"),
    ("robust", "deadlock.pthread-mutex", 2, "two robust mutexes of the C library"),
    ("join", "deadlock.join", 2, "a thread that is joined, and the lock that it waits for"),
    ("join-read", "deadlock.join", 2, "the same with a `RwLock` that is read"),
    ("join-3", "deadlock.join", 3, "three threads that join each other"),
    ("join-mixed", "deadlock.join", 3, "a join and two locks"),
    ("join-pi", "deadlock.join", 2, "a join, and a mutex of the C library with priority inheritance"),
];

/// The same for modes that are found in some builds only, or in none: it is on no stack who holds
/// what.
const UNSEEN: [(&str, &str, usize, &str); 6] = [
    ("stdout", "deadlock.std-lock", 2, "a `Mutex`, and the `ReentrantLock` of standard output"),
    ("condvar", "", 2, "a condition variable, and a second `Mutex` that is held meanwhile"),
    ("channels", "", 2, "two threads that receive from each other"),
    ("future", "deadlock.self", 1, "a `Mutex` that a suspended future has locked"),
    ("forgotten", "deadlock.self", 1, "a `Mutex` whose guard was forgotten"),
    ("parking-lot", "deadlock.std-lock", 2, "two mutexes of parking_lot"),
];

/// The healthy modes.
const HEALTHY: [(&str, &str); 16] = [
    ("arguments", "two threads that wait for a lock each and have the other one as an argument"),
    ("earlier", "two threads that wait for a lock each and have held the other one before"),
    ("in-order", "nested locks in the same order, held across a slow read"),
    ("passed-around", "locks that 16 threads take and release all the time"),
    ("readers", "readers that keep a `RwLock`, and a writer"),
    ("once-slow", "a slow initialization of an `OnceLock`"),
    ("queue", "a queue with a condition variable"),
    ("waiting", "a barrier, a join, a channel and a parked thread"),
    ("robust-held", "robust mutexes, and one with priority inheritance, held across a slow read"),
    ("join-works", "a lock that is held while a thread that works is joined"),
    ("join-free", "a thread that waits for a lock is joined by one that has used another lock"),
    ("join-earlier", "a thread that holds a lock is joined by one that has held it before"),
    ("join-dropped", "the same, and the guard was dropped in a branch"),
    ("rwlock-earlier", "two threads that wait for a `RwLock` each and have used the other one before"),
    ("rwlock-dropped", "the same, and the guard was dropped in a branch"),
    ("object-earlier", "two threads that wait for a lock each and have held the other one in an object"),
];

/// The findings of deadlocks, each with the names of its threads.
fn deadlocks(report: &Report) -> Vec<(&str, BTreeSet<&str>)> {
    let threads = report.threads();
    let name = |tid: &Value| {
        let thread = threads.iter().find(|thread| *tid == thread.tid());
        thread.expect("it is listed").name()
    };
    let found = report.findings().iter().filter(|finding| text(&finding["code"]).starts_with("deadlock."));
    found
        .map(|finding| (text(&finding["code"]), list(&finding["threads"]).iter().map(name).collect()))
        .collect()
}

/// Whether all deadlocks of these modes are found.
fn are_found<'a>(
    report: &Report,
    modes: impl IntoIterator<Item = &'a (&'a str, &'a str, usize, &'a str)>,
) -> bool {
    let found = deadlocks(report);
    modes.into_iter().all(|(mode, code, threads, _)| {
        let is_this = |(of, names): &&(&str, BTreeSet<&str>)| {
            of == code && names.len() == *threads && names.iter().all(|name| is_of(name, mode))
        };
        found.iter().filter(is_this).count() == 1
    })
}

/// Whether a thread is of this mode. Names have at most 15 bytes.
fn is_of(name: &str, mode: &str) -> bool {
    name.starts_with(&format!("{mode} "))
}

fn start(path: impl AsRef<Path>, modes: &[&str]) -> Program {
    let mut command = Command::new(path.as_ref());
    command.args(modes);
    Program::start_with(command)
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the code of other processors is not followed")]
fn deadlocks_are_found_with_their_threads_and_places() {
    let mut program = start(program!("stuck"), &DEADLOCKS.map(|(mode, ..)| mode));
    let report = program.report_when("all deadlocks", |report| are_found(report, &DEADLOCKS));
    assert_eq!(deadlocks(&report).len(), DEADLOCKS.len(), "{report}");
    let of_two = report.findings().iter().find(|finding| {
        let first = &finding["threads"][0];
        let thread = report.threads().into_iter().find(|thread| first == thread.tid());
        thread.is_some_and(|thread| is_of(thread.name(), "mutex-2"))
    });
    let evidence = list(&of_two.expect("it is found")["evidence"]);
    let functions: BTreeSet<&str> = evidence
        .iter()
        .filter(|evidence| !evidence["frame"].is_null())
        .map(|evidence| {
            text(&report.frame_at(&evidence["frame"])["function"]).rsplit("::").next().expect("a name")
        })
        .collect();
    assert_eq!(functions, BTreeSet::from(["commit", "compact", "reindex", "truncate"]), "{evidence:?}");
    // That report has seen all of them where they still are.
    let report = program.report();
    assert_eq!(deadlocks(&report).len(), DEADLOCKS.len(), "{report}");
    for finding in report.findings().iter().filter(|finding| text(&finding["code"]).starts_with("deadlock."))
    {
        // All other evidence is about a place; this is a time.
        let last = list(&finding["evidence"]).last().expect("it has evidence");
        assert!(last["frame"].is_null(), "{finding}");
        assert!(text(&last["message"]).contains(|one: char| one.is_ascii_digit()), "{finding}");
    }
}

#[test]
fn healthy_programs_have_no_deadlock() {
    const REPORTS: usize = 20;
    // Without the threads that run all the time: they would take the processors for all reports.
    let modes = HEALTHY.map(|(mode, _)| mode).into_iter().filter(|mode| *mode != "passed-around");
    let mut program = start(program!("stuck"), &modes.collect::<Vec<_>>());
    let named_holder = |report: &Report| {
        let waits = report.findings().iter().filter(|finding| finding["code"] == "thread.lock-wait");
        waits.flat_map(|finding| list(&finding["evidence"])).any(|evidence| {
            let message = text(&evidence["message"]);
            message.contains("in-order holder") && message.contains("holds it and waits in read (pipe:[")
        })
    };
    if cfg!(target_arch = "x86_64") {
        program.report_when("the holder of a lock, and what it does", named_holder);
    }
    for _ in 0..REPORTS {
        let report = program.report();
        assert_eq!(deadlocks(&report), [], "{report}");
        let waits = report.findings().iter().filter(|finding| finding["code"] == "thread.lock-wait");
        assert!(waits.into_iter().all(|finding| finding["severity"] == "info"), "{report}");
    }
}

/// What is not found is not blamed on another thread either.
#[test]
fn deadlocks_that_are_not_seen_are_not_reported_as_others() {
    const REPORTS: usize = 5;
    let mut program = start(program!("stuck"), &UNSEEN.map(|(mode, ..)| mode));
    program.report_when("all threads wait", |report| are_waiting(report, UNSEEN.map(|(mode, ..)| mode)));
    for _ in 0..REPORTS {
        let report = program.report();
        let found = UNSEEN.iter().filter(|mode| are_found(&report, [*mode])).count();
        assert_eq!(deadlocks(&report).len(), found, "{report}");
    }
}

/// Whether each thread of these modes waits for a futex.
fn are_waiting<'a>(report: &Report, modes: impl IntoIterator<Item = &'a str>) -> bool {
    let threads = report.threads();
    modes.into_iter().all(|mode| {
        let mut of_mode = threads.iter().filter(|thread| is_of(thread.name(), mode)).peekable();
        of_mode.peek().is_some() && of_mode.all(|thread| thread.waiting()["call"] == "futex")
    })
}

/// How many lines of a report fit on a small terminal.
const SCREEN: usize = 24;

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the code of other processors is not followed")]
fn text_begins_with_a_deadlock() {
    let mut command = Command::new(program!("stuck"));
    command.env("GMR_FORMAT", "text").args(["mutex-5", "readers", "in-order"]);
    let mut program = Program::start_with(command);
    wait_until("the deadlock is on the first screen", || {
        program.signal(rustix::process::Signal::USR2);
        let text = Text::read(&mut program);
        text.lines().take(SCREEN).any(|line| line.starts_with("error: ") && line.contains("deadlock"))
    });
}

/// How many reports of each healthy mode are made in each build.
const HEALTHY_REPORTS: usize = 100;

/// Compares the findings in all builds with the table in `docs/findings.md`, or writes it.
#[test]
#[ignore = "it builds programs in several ways; `cargo xtask findings` runs it"]
fn table() {
    let programs = OF_FINDINGS.map(|build| of_findings(build).join("stuck"));
    let mut rows = format!("| | {} |\n|---|{}\n", OF_FINDINGS.join(" | "), "---|".repeat(OF_FINDINGS.len()));
    let mut row = |what: &str, cells: Vec<String>| {
        let _ = writeln!(rows, "| {what} | {} |", cells.join(" | "));
    };
    for deadlock in &DEADLOCKS {
        let is_found = |program: &PathBuf| {
            let mut program = start(program, &[deadlock.0]);
            let until = Instant::now() + Duration::from_secs(20);
            loop {
                let report = program.report();
                if are_found(&report, [deadlock]) {
                    break "found";
                }
                assert_eq!(deadlocks(&report), [], "{}: {report}", deadlock.0);
                if Instant::now() > until {
                    break "missed";
                }
            }
        };
        row(deadlock.3, programs.iter().map(|program| is_found(program).to_owned()).collect());
    }
    for unseen in &UNSEEN {
        let is_found = |program: &PathBuf| {
            let mut program = start(program, &[unseen.0]);
            let report = program.report_when("its threads wait", |report| are_waiting(report, [unseen.0]));
            let is_found = are_found(&report, [unseen]);
            assert_eq!(deadlocks(&report).len(), usize::from(is_found), "{}: {report}", unseen.0);
            if is_found { "found" } else { "missed" }.to_owned()
        };
        row(unseen.3, programs.iter().map(is_found).collect());
    }
    for (mode, what) in HEALTHY {
        let false_alarms = |program: &PathBuf| {
            let mut program = start(program, &[mode]);
            let alarms = (0..HEALTHY_REPORTS).filter(|_| !deadlocks(&program.report()).is_empty()).count();
            format!("{alarms} of {HEALTHY_REPORTS}")
        };
        row(&format!("healthy: {what}"), programs.iter().map(false_alarms).collect());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings.md");
    let page = fs::read_to_string(&path).expect("the page can be read");
    let (before, rest) = page.split_once("<!-- table -->\n").expect("the table begins");
    let (written, after) = rest.split_once("<!-- end of table -->").expect("the table ends");
    if std::env::var_os("GMR_TEST_WRITE_FINDINGS").is_some() {
        let page = format!("{before}<!-- table -->\n{rows}<!-- end of table -->{after}");
        fs::write(&path, page).expect("the page can be written");
    } else {
        assert_eq!(written, rows, "run `cargo xtask findings --write`");
    }
}
