//! `thread.stuck`: threads that have been at rest for long, in calls that are usually short. That
//! threads of a pool, or those that serve requests, wait for long means nothing.

use std::cmp::Reverse;

use super::deadlock;
use super::facts::{Facts, MAX_EVIDENCE, about_threads, name, place};
use crate::model::{Evidence, Finding, Lock, Severity, Thread};
use crate::sys::sort;
use crate::units::duration;

/// Calls that wait for somebody else to go on, who usually does soon: to accept a connection, to
/// read what is written, to release a file, to open the other end.
const SHORT_CALLS: [&str; 10] =
    ["connect", "fcntl", "flock", "open", "sendfile", "sendmmsg", "sendmsg", "sendto", "write", "writev"];
/// From what time on it is reported. Connections are made, and locks released, within seconds.
const LONG_MS: u64 = 10_000;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let reported = deadlock::locks(facts);
    let locks: Vec<&Lock> = facts.locks().filter(|lock| !reported.contains(&lock.address)).collect();
    let lock_of = |thread: &Thread| {
        locks.iter().find(|lock| lock.waiters.iter().any(|waiter| waiter.tid == thread.tid))
    };
    let is_stuck = |thread: &&Thread| {
        let waiting = thread.waiting.as_deref().filter(|waiting| waiting.kernel_function.is_none());
        let is_short = waiting.is_some_and(|waiting| SHORT_CALLS.contains(&&*waiting.call));
        thread.at_rest_ms >= Some(LONG_MS) && (is_short || lock_of(thread).is_some())
    };
    let mut threads: Vec<&Thread> = facts.threads().filter(is_stuck).collect();
    // The longest first.
    sort::by_key(&mut threads, |thread| Reverse(thread.at_rest_ms));
    let waits = |thread: &&Thread| {
        let waiting = thread.waiting.as_deref()?;
        let target = waiting.peer.as_ref().or(waiting.target.as_ref()).or(waiting.path.as_ref());
        let target = target.map(|target| format!(" ({target})")).unwrap_or_default();
        let in_call = || format!("is in {}{target}", waiting.call);
        let doing =
            lock_of(thread).map_or_else(in_call, |lock| format!("waits for the lock {:#x}", lock.address));
        let time = duration(thread.at_rest_ms?);
        let message = format!("{} {doing} and has not run for at least {time}", name(thread));
        let frame = place(thread, facts.frames);
        Some(Evidence { message, thread: Some(thread.tid), frame, ..Evidence::default() })
    };
    let mut findings = about_threads(
        "thread.stuck",
        Severity::Info,
        &threads,
        "thread has been waiting for long in a call that is usually short",
        "threads have been waiting for long in calls that are usually short",
    );
    for finding in &mut findings {
        finding.evidence = threads.iter().filter_map(waits).take(MAX_EVIDENCE).collect();
    }
    findings
}

#[cfg(all(test, not(gmr_units)))]
mod tests;
