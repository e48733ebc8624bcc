//! The process itself: its state, its signals, gmr's threads, and what the system lets it do.

use std::io;

use gmr_runtime::__cli::{Mark, signal_name};

use super::check::Check;
use crate::processes::{Process, Signals, Status};

pub(super) fn state(status: &Status) -> Check {
    const ABOUT: &str = "state";
    match status.state() {
        'T' => Check::problem(
            ABOUT,
            "it is stopped; signals wait until it continues",
            "kill -CONT PID, or `fg` in its shell; a stopped container: `docker unpause`",
        ),
        't' => Check::problem(
            ABOUT,
            "a debugger has stopped it; signals wait until it continues",
            "continue or detach in the debugger",
        ),
        'Z' => Check::problem(
            ABOUT,
            "it has ended, and its parent has not waited for it",
            "look at its log, or at a report that it has written before; nothing can be asked of it",
        ),
        _ => Check::good(ABOUT, status.value("State").unwrap_or("unknown")),
    }
}

pub(super) fn installed(status: &Status, marks: &io::Result<Vec<Mark>>) -> Check {
    const ABOUT: &str = "gmr";
    let marks = match marks {
        Ok(marks) => marks,
        Err(error) => return Check::unknown(ABOUT, error),
    };
    if !marks.is_empty() {
        let copies = if marks.len() > 1 { format!(", {} copies", marks.len()) } else { String::new() };
        return Check::good(ABOUT, format!("it is installed{copies}"));
    }
    if status.state() == 'Z' {
        return Check::note(ABOUT, "it is not known whether it had gmr");
    }
    Check::problem(
        ABOUT,
        "the process has no mark of gmr: it lacks gmr, has not installed it yet, has uninstalled it, has an \
         older version, or was forked from a process with gmr",
        "do not send it SIGUSR2, which ends a process without a handler; install gmr at the start of `main`, or \
         call gmr::after_fork() in the child",
    )
}

/// What the process does with the report signal.
pub(super) fn signal(process: Process, status: &Status, signal: i32) -> Vec<Check> {
    const ABOUT: &str = "signal";
    let name = signal_name(signal);
    let has = |signals| status.has(signals, signal) == Some(true);
    let mut checks = Vec::new();
    if has(Signals::Caught) {
        checks.push(Check::good(ABOUT, format!("it has a handler for {name}")));
    } else if has(Signals::Ignored) {
        let remedy = "let the program leave the signal to gmr, or choose another one with GMR_SIGNAL";
        checks.push(Check::problem(ABOUT, format!("it ignores {name}: the program has set that"), remedy));
    } else {
        checks.push(Check::problem(
            ABOUT,
            format!("it has no handler for {name} any more: the signal would end it"),
            format!("do not send {name}; let the program leave the signal to gmr, or choose another one with GMR_SIGNAL"),
        ));
    }
    if has(Signals::Pending) {
        checks.push(Check::problem(
            ABOUT,
            format!("{name} has been sent, and no thread has taken it"),
            "a thread of gmr's takes it soon unless the process is stopped or gets no processor time; run this again",
        ));
    }
    let threads = process.threads().unwrap_or_default();
    let all = threads.iter().filter_map(|tid| Status::of_thread(process, *tid).ok());
    let blocking = all.filter(|thread| thread.has(Signals::Blocked, signal) == Some(true)).count();
    if blocking > 0 && blocking == threads.len() {
        checks.push(Check::note(
            ABOUT,
            format!("all {blocking} threads block {name}; gmr takes it after 200 ms"),
        ));
    }
    checks
}

/// Whether the thread that makes reports is there.
pub(super) fn reporter(process: Process, is_marked: bool) -> Option<Check> {
    const ABOUT: &str = "reporter";
    let threads = process.threads().ok()?;
    let name = |tid: &u32| process.read(&format!("task/{tid}/comm")).ok();
    let has_reporter = threads.iter().filter_map(name).any(|name| name.trim_end() == "gmr");
    match (has_reporter, is_marked) {
        (true, _) => Some(Check::good(ABOUT, "its thread is there")),
        (false, true) => Some(Check::problem(
            ABOUT,
            "there is no thread named gmr, which makes reports",
            "call gmr::after_fork() if the process was forked; else please report this",
        )),
        (false, false) => None,
    }
}

/// What can make reports shorter.
pub(super) fn restrictions(process: Process, status: &Status) -> Vec<Check> {
    let mut checks = Vec::new();
    match status.value("Seccomp") {
        Some("0") | None => {}
        Some("1") => checks.push(Check::problem(
            "seccomp",
            "its main thread is in strict mode: it may only read, write and end",
            "none: no report can be made of such a process, except by threads that gmr has started before",
        )),
        Some(_) => checks.push(
            Check::note("seccomp", "its system calls are filtered; what the filter allows cannot be read")
                .with("if reports lack something, allow the calls in docs/no-harm.md, \"System calls that fail\""),
        ),
    }
    if let Some((queued, limit)) = status.value("SigQ").and_then(|queue| queue.split_once('/')) {
        let numbers = queued.parse::<u64>().ok().zip(limit.parse::<u64>().ok());
        if numbers.is_some_and(|(queued, limit)| queued >= limit) {
            checks.push(Check::problem(
                "limits",
                format!("its user's queue of signals is full ({queued} of {limit}): running threads have no stacks"),
                "raise `ulimit -i`, or find the process that does not take its signals",
            ));
        }
    }
    let limit = soft_limit(process, "Max processes").filter(|_| is_limited_in_threads(status));
    if let Some(limit) = limit
        && let Some(threads) = threads_of_user(process, status)
        && threads >= limit
    {
        checks.push(Check::problem(
            "limits",
            format!(
                "its user has {threads} threads and may have {limit}: sections run one after the other without \
                 deadlines"
            ),
            "raise `ulimit -u`",
        ));
    }
    if let Some(limit) = soft_limit(process, "Max address space") {
        let size = status.number("VmSize").map_or(0, |kib| kib << 10);
        // As much as the reporter wants to have before it begins (`emergency`).
        if limit.saturating_sub(size) < 64 << 20 {
            checks.push(Check::problem(
                "limits",
                "less than 64 MiB of its address space are left: reports are raw ones, without stacks",
                "raise `ulimit -v`",
            ));
        }
    }
    checks.extend(namespaces(process, status));
    checks
}

/// Whether `RLIMIT_NPROC` holds for it: not for root, nor with one of two capabilities, as `fork` of the
/// kernel has it.
fn is_limited_in_threads(status: &Status) -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    const SYS_RESOURCE: u64 = 1 << 24;
    let has = status.value("CapEff").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    real_user(status).is_some_and(|user| user != "0")
        && has.is_some_and(|has| has & (SYS_ADMIN | SYS_RESOURCE) == 0)
}

/// How many threads the user of this process has in its user namespace, as far as they can be seen. The
/// kernel counts them so, for the limit of each.
fn threads_of_user(process: Process, status: &Status) -> Option<u64> {
    let namespace = |process: Process| process.link("ns/user").ok();
    let (user, its) = (real_user(status)?, namespace(process)?);
    let count = |other: Process| {
        let status = other.status().ok().filter(|status| real_user(status) == Some(user))?;
        status.number("Threads").filter(|_| namespace(other).as_ref() == Some(&its))
    };
    Some(Process::all().ok()?.into_iter().filter_map(count).sum())
}

fn real_user(status: &Status) -> Option<&str> {
    status.value("Uid")?.split_ascii_whitespace().next()
}

fn soft_limit(process: Process, name: &str) -> Option<u64> {
    let limits = process.read("limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

fn namespaces(process: Process, status: &Status) -> Option<Check> {
    let own = Process::new(std::process::id());
    let differs = |name: &&str| {
        let link = format!("ns/{name}");
        process.link(&link).ok().zip(own.link(&link).ok()).is_some_and(|(its, ours)| its != ours)
    };
    let others: Vec<&str> = ["pid", "mnt", "user", "net"].into_iter().filter(differs).collect();
    if others.is_empty() {
        return None;
    }
    let inside = status.pids().last().copied().filter(|inside| *inside != process.pid());
    let inside = inside.map(|pid| format!("; inside, its id is {pid}")).unwrap_or_default();
    Some(Check::note(
        "namespaces",
        format!("it is in others than this command ({}){inside}", others.join(", ")),
    ))
}
