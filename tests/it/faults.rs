//! System calls that fail in gmr's threads and handlers: the process keeps working, and a report
//! says what it lacks.
//!
//! [`CALLS`] has each call that a report makes, and the errors that it can return. A trace of
//! reports fails a test if they make a call that is not in there. What is missing when a call fails
//! is in the table of docs/no-harm.md, which `cargo xtask faults --write` writes: it tries each
//! error in a process of its own. The ordinary test tries each call with one error, in one process.
//!
//! Errors of a sandbox (`EPERM`, `ENOSYS`) and of a shortage are returned by each call. `EINTR`,
//! and `EAGAIN` where a call is to be repeated at once, are returned by every other call of a
//! thread.

mod judging;
mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use libc::c_long;

use self::judging::{Lack, RAW, REPORT};
use self::subject::{Next, Subject};
use crate::program::wait_until;
use crate::report::list;

/// A system call, and the errors that it is tried with.
#[derive(Clone, Copy)]
struct Call {
    name: &'static str,
    number: c_long,
    errors: &'static [Error],
}

#[derive(Clone, Copy)]
struct Error {
    name: &'static str,
    number: i32,
    every_other: bool,
}

const fn error(name: &'static str, number: i32) -> Error {
    Error { name, number, every_other: false }
}

const EPERM: Error = error("EPERM", libc::EPERM);
const ENOSYS: Error = error("ENOSYS", libc::ENOSYS);
const EAGAIN: Error = error("EAGAIN", libc::EAGAIN);
const ENOMEM: Error = error("ENOMEM", libc::ENOMEM);
const EMFILE: Error = error("EMFILE", libc::EMFILE);
const EINTR: Error = Error { every_other: true, ..error("EINTR", libc::EINTR) };
const AGAIN: Error = Error { every_other: true, ..EAGAIN };

macro_rules! calls {
    ($($name:ident $number:ident: $($errors:ident)*;)*) => {
        &[$(Call { name: stringify!($name), number: libc::$number, errors: &[$($errors),*] }),*]
    };
}

/// In the order of the table. Those without errors are not tried: the last three return none, and
/// glibc aborts a process in which `rseq` is refused. It also aborts one in which `futex` returns
/// another error than these two.
const CALLS: &[Call] = calls! {
    mmap SYS_mmap: EPERM ENOSYS ENOMEM EAGAIN;
    munmap SYS_munmap: EPERM ENOSYS ENOMEM;
    mprotect SYS_mprotect: EPERM ENOSYS ENOMEM EAGAIN;
    madvise SYS_madvise: EPERM ENOSYS ENOMEM EAGAIN;
    clone3 SYS_clone3: EPERM ENOSYS ENOMEM EAGAIN;
    futex SYS_futex: EINTR AGAIN;
    write SYS_write: EPERM ENOSYS EINTR AGAIN;
    pwritev2 SYS_pwritev2: EPERM ENOSYS EINTR AGAIN;
    ppoll SYS_ppoll: EPERM ENOSYS EINTR ENOMEM;
    fcntl SYS_fcntl: EPERM ENOSYS EMFILE;
    close_range SYS_close_range: EPERM ENOSYS ENOMEM EMFILE;
    open SYS_open: EPERM ENOSYS EINTR ENOMEM EMFILE;
    openat SYS_openat: EPERM ENOSYS EINTR ENOMEM EMFILE;
    openat2 SYS_openat2: EPERM ENOSYS EINTR ENOMEM EMFILE;
    read SYS_read: EPERM ENOSYS EINTR ENOMEM;
    pread64 SYS_pread64: EPERM ENOSYS EINTR ENOMEM;
    lseek SYS_lseek: EPERM ENOSYS;
    close SYS_close: EPERM ENOSYS EINTR;
    fstat SYS_fstat: EPERM ENOSYS ENOMEM;
    statx SYS_statx: EPERM ENOSYS ENOMEM;
    getdents64 SYS_getdents64: EPERM ENOSYS ENOMEM;
    readlinkat SYS_readlinkat: EPERM ENOSYS ENOMEM;
    ioctl SYS_ioctl: EPERM ENOSYS ENOMEM;
    process_vm_readv SYS_process_vm_readv: EPERM ENOSYS ENOMEM;
    clock_gettime SYS_clock_gettime: EPERM ENOSYS;
    sched_getscheduler SYS_sched_getscheduler: EPERM ENOSYS;
    sched_getattr SYS_sched_getattr: EPERM ENOSYS;
    sched_getaffinity SYS_sched_getaffinity: EPERM ENOSYS;
    rt_tgsigqueueinfo SYS_rt_tgsigqueueinfo: EPERM ENOSYS EAGAIN;
    rt_sigaction SYS_rt_sigaction: EPERM ENOSYS;
    rt_sigprocmask SYS_rt_sigprocmask: EPERM ENOSYS;
    sigaltstack SYS_sigaltstack: EPERM ENOSYS ENOMEM;
    prlimit64 SYS_prlimit64: EPERM ENOSYS;
    prctl SYS_prctl: EPERM ENOSYS;
    getrusage SYS_getrusage: EPERM ENOSYS;
    waitid SYS_waitid: EPERM ENOSYS EINTR;
    getxattr SYS_getxattr: EPERM ENOSYS ENOMEM;
    set_robust_list SYS_set_robust_list: EPERM ENOSYS;
    rseq SYS_rseq: ;
    getpid SYS_getpid: ;
    gettid SYS_gettid: ;
    getuid SYS_getuid: ;
};

/// Calls that are not made by each report: they belong to the installation, to other copies of gmr,
/// or to signals that stay pending; a call with a timeout is continued; an allocator or a lock
/// makes them; a file is open for writing. The last ones are what other versions of glibc make in
/// place of those in the table.
const AT_TIMES: &[c_long] = &[
    libc::SYS_getrandom,
    libc::SYS_readlink,
    libc::SYS_signalfd4,
    libc::SYS_memfd_create,
    libc::SYS_msync,
    libc::SYS_rt_sigpending,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_brk,
    libc::SYS_mremap,
    libc::SYS_clone,
    libc::SYS_newfstatat,
    libc::SYS_statfs,
    libc::SYS_poll,
    // Of a processor with AMX.
    libc::SYS_arch_prctl,
];

/// The rows of the table in docs/no-harm.md: a call, and what is missing without it.
fn documented() -> BTreeMap<String, Lack> {
    let page = fs::read_to_string(PAGE).expect("it is there");
    let table =
        page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).expect("it has the table").0;
    let rows = table.lines().filter_map(|line| {
        let (call, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let missing = rest.split(" | ").nth(1)?;
        Some((call.to_owned(), missing.split("; ").map(str::to_owned).collect()))
    });
    rows.collect()
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/no-harm.md");
const BEGIN: &str = "<!-- cargo xtask faults -->\n";
const END: &str = "<!-- end -->";

#[test]
fn each_call_of_a_report_is_in_the_table() {
    let Some(mut subject) = Subject::start("all", "json") else { return };
    let mut seen = BTreeSet::from_iter(subject.calls());
    for _ in 0..2 {
        let Next::Report(_) = subject.report() else { panic!("no report: {}", subject.said) };
        let calls = subject.calls();
        // std draws random keys for hash maps. Where that is refused, it opens a file for the whole
        // process, which the descriptor tables of gmr's threads are not part of.
        assert!(!calls.contains(&libc::SYS_getrandom), "a hash map has std's keys");
        seen.extend(calls);
    }
    // The calls of a raw report.
    subject.fail(CALLS[0], ENOMEM);
    let Next::Raw(_) = subject.report() else { panic!("memory cannot be mapped: {}", subject.said) };
    seen.extend(subject.calls());
    subject.end("the trace");
    for (format, end) in [("text", "end of report"), ("html", "</html>")] {
        let mut subject = Subject::start("all", format).expect("the first one has started");
        assert_eq!(subject.ask("report"), "sent");
        wait_until("a whole report", || subject.program.next_error_line().contains(end));
        seen.extend(subject.calls());
        subject.end(format);
    }
    let known: BTreeSet<c_long> =
        CALLS.iter().map(|call| call.number).chain(AT_TIMES.iter().copied()).collect();
    let unknown: Vec<_> = seen.difference(&known).collect();
    assert!(unknown.is_empty(), "reports make system calls that CALLS lacks, by number: {unknown:?}");
    let documented: BTreeSet<String> = documented().into_keys().collect();
    let named: BTreeSet<String> = CALLS.iter().map(|call| call.name.to_owned()).collect();
    assert_eq!(documented, named, "`cargo xtask faults --write` writes the table");
}

#[test]
fn each_call_may_fail() {
    let documented = documented();
    let Some(mut subject) = Subject::start("all", "json") else { return };
    subject.reports_are_whole("no failure");
    for (index, call) in CALLS.iter().enumerate().filter(|(_, call)| !call.errors.is_empty()) {
        let error = call.errors[index % call.errors.len()];
        let what = format!("{} with {}", call.name, error.name);
        let is_documented = |lack: &Lack| lack.is_subset(&documented[call.name]);
        let mut lack = subject.lacks(*call, error, is_documented);
        let has_failed = subject.has_failed();
        subject.works_and_heals(&what);
        if !lack.is_empty() {
            subject.reports_are_whole(&what);
        }
        if !has_failed {
            // Only the first report makes this call: later ones know what it has found.
            let cell = lack_with(*call, error, is_documented).expect("the first one has started");
            assert!(cell.has_failed, "{what}: no report makes this call");
            lack = cell.lack;
        }
        assert!(is_documented(&lack), "{what}: {lack:?} is not in the table");
    }
    subject.end("all of them");
}

/// A filter that gmr's threads do not have may end the process at any call.
#[test]
fn threads_with_a_filter_of_their_own_are_left_alone() {
    let Some(mut subject) = Subject::start("own-filters", "json") else { return };
    for _ in 0..2 {
        let Next::Report(report) = subject.report() else { panic!("no report: {}", subject.said) };
        let threads = report.threads();
        let stack = |name| threads.iter().find(|thread| thread.name() == name).expect("it runs").stack();
        let reason = stack("running").incomplete.expect("it was not signalled").to_owned();
        assert!(reason.starts_with("a seccomp filter of its own "), "{reason}");
        let [task] = report.tasks() else { panic!("one task: {report}") };
        let reason =
            report.stack(&list(&task["stacks"])[0]).incomplete.expect("it was not polled").to_owned();
        assert!(reason.contains("a seccomp filter of the program's threads"), "{reason}");
        if cfg!(target_arch = "x86_64") {
            assert!(stack("parked").is_whole() && stack("parked").mentions("faults::park_here"), "{report}");
            assert!(stack("task").is_whole(), "{report}");
        }
    }
    subject.end("filters of their own");
}

/// One call, and one error.
struct Cell {
    /// Whether the call was made, and has failed.
    has_failed: bool,
    lack: Lack,
}

/// A call and an error that were tried in reports, and during installation.
struct Tried {
    cell: Cell,
    installed: Result<(), String>,
}

/// Tries a call with an error in a process of its own.
fn lack_with(call: Call, error: Error, suffices: impl FnMut(&Lack) -> bool) -> Option<Cell> {
    let what = format!("{} with {}", call.name, error.name);
    let mut subject = Subject::start(&call.number.to_string(), "json")?;
    let lack = subject.lacks(call, error, suffices);
    let has_failed = subject.has_failed();
    subject.works_and_heals(&what);
    subject.reports_are_whole(&what);
    subject.end(&what);
    Some(Cell { has_failed, lack })
}

/// A call fails while gmr is installed, and no longer afterwards: then reports are whole. Returns
/// why it is not installed, if it is not.
fn install_with(call: Call, error: Error) -> Option<Result<(), String>> {
    let what = format!("{} with {} during installation", call.name, error.name);
    let mut subject = Subject::install(call, error)?;
    let answer = subject.ask("installed");
    subject.works_and_heals(&what);
    let installed = if answer == "yes" { Ok(()) } else { Err(answer) };
    if installed.is_ok() {
        subject.reports_are_whole(&what);
    }
    subject.end(&what);
    Some(installed)
}

/// True once this many reports lack the same, or one lacks nothing.
fn unchanged(times: usize) -> impl FnMut(&Lack) -> bool {
    let mut lengths = Vec::new();
    move |lack| {
        // It only shrinks.
        lengths.retain(|length| *length == lack.len());
        lengths.push(lack.len());
        lack.is_empty() || lengths.len() == times
    }
}

/// Writes the table if `GMR_TEST_WRITE_FAULTS` is set, or else compares it.
#[test]
#[ignore = "it takes minutes: cargo xtask faults"]
fn all_errors() {
    let cells: Vec<(Call, Error)> =
        CALLS.iter().flat_map(|call| call.errors.iter().map(|error| (*call, *error))).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some(&(call, error)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = std::panic::catch_unwind(|| {
                        (lack_with(call, error, unchanged(3)), install_with(call, error))
                    });
                    let tried = tried.map(|(cell, installed)| {
                        let no_filter = "there can be a filter of system calls";
                        Tried { cell: cell.expect(no_filter), installed: installed.expect(no_filter) }
                    });
                    if tried.is_err() {
                        println!("{} with {} has failed, see above", call.name, error.name);
                    }
                    results.lock().expect("no thread panics").push((call, error, tried.ok()));
                }
            });
        }
    });
    let results = results.into_inner().expect("no thread has panicked");
    let mut counts = BTreeMap::<&str, usize>::new();
    for (call, error, tried) in &results {
        let outcome = match tried.as_ref().map(|tried| &tried.cell) {
            None => "harmed or silently lost",
            Some(Cell { has_failed: false, .. }) => "not made",
            Some(Cell { lack, .. }) if lack.is_empty() => "whole",
            Some(Cell { lack, .. }) if lack.contains(REPORT) => "no report, and the next one says why",
            Some(Cell { lack, .. }) if lack.contains(RAW) => "a raw report with the reason",
            Some(_) => "shortened, and the report says what is missing",
        };
        *counts.entry(outcome).or_default() += 1;
        println!("{} with {}: {outcome}", call.name, error.name);
        if let Some(Tried { installed: Err(reason), .. }) = tried {
            *counts.entry("not installed, with a reason").or_default() += 1;
            println!("{} with {}: not installed: {reason}", call.name, error.name);
        }
    }
    println!("{} cells: {counts:#?}", results.len());
    for failure in ["harmed or silently lost", "not made"] {
        assert!(!counts.contains_key(failure), "the lines above say where: {counts:?}");
    }
    let table = table(&results);
    let page = fs::read_to_string(PAGE).expect("it is there");
    let (before, rest) = page.split_once(BEGIN).expect("it has the table");
    let (old, after) = rest.split_once(END).expect("the table has an end");
    if std::env::var_os("GMR_TEST_WRITE_FAULTS").is_some() {
        fs::write(PAGE, format!("{before}{BEGIN}{table}{END}{after}")).expect("it can be written");
    } else {
        assert_eq!(old, table, "`cargo xtask faults --write` writes the table");
    }
}

fn table(results: &[(Call, Error, Option<Tried>)]) -> String {
    let mut table = String::from(
        "\n| call | tried with | what is missing when it fails | installation |\n|---|---|---|---|\n",
    );
    for call in CALLS {
        let errors: Vec<&str> = call.errors.iter().map(|error| error.name).collect();
        let of_call = results.iter().filter(|(tried, ..)| tried.name == call.name);
        let of_call: Vec<&Tried> = of_call.filter_map(|(.., tried)| tried.as_ref()).collect();
        let lack: Lack = of_call.iter().flat_map(|tried| tried.cell.lack.clone()).collect();
        let mut missing: Vec<String> = lack.into_iter().collect();
        if missing.is_empty() && !errors.is_empty() {
            missing.push("nothing".to_owned());
        }
        let note = NOT_TRIED.iter().find(|(name, _)| *name == call.name);
        missing.extend(note.map(|(_, note)| (*note).to_owned()));
        let is_refused = of_call.iter().any(|tried| tried.installed.is_err());
        let installation = match of_call[..] {
            [] => "",
            _ if is_refused => "returns an error",
            _ => "succeeds",
        };
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {installation} |",
            call.name,
            errors.join(", "),
            missing.join("; ")
        );
    }
    table.push('\n');
    table
}

/// Why calls are not tried, or not with all errors.
const NOT_TRIED: [(&str, &str); 5] = [
    ("futex", "with other errors, glibc aborts the process"),
    ("rseq", "not tried: glibc aborts the process"),
    ("getpid", "not tried: it returns no errors"),
    ("gettid", "not tried: it returns no errors"),
    ("getuid", "not tried: it returns no errors"),
];
