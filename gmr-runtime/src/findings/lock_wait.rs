//! `thread.lock-wait`: threads that wait for a lock, one finding per lock: where they wait, and who
//! holds it and what it is doing, if that is known.

use std::collections::BTreeSet;

use super::deadlock;
use super::facts::{Facts, MAX_EVIDENCE, count, finding, ids, names, thread_name};
use crate::model::{Certainty, Evidence, Finding, Frame, FutexOwner, Holder, Lock, Severity, Thread};
use crate::sys::sorted_map::SortedMap;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let functions = locks(facts.frames);
    let mut locks: SortedMap<u64, Vec<&Thread>> = SortedMap::new();
    for thread in facts.threads() {
        let futex = thread.waiting.as_ref().and_then(|waiting| waiting.futex);
        if let Some(futex) = futex.filter(|_| waits_for_a_lock(&functions, thread)) {
            locks.entry(futex).push(thread);
        }
    }
    let reported = deadlock::locks(facts);
    let of_lock = |(futex, waiting): (u64, Vec<&Thread>)| {
        let known = waiting.iter().find_map(|thread| lock_of(facts, thread.tid));
        if known.is_some_and(|lock| reported.contains(&lock.address)) {
            return None;
        }
        let threads =
            count(waiting.len(), "thread is waiting for a lock", "threads are waiting for the same lock");
        let owners = waiting.iter().filter_map(|thread| thread.waiting.as_ref()?.futex_owner.as_ref());
        let mut owners: Vec<&FutexOwner> = owners.collect();
        owners.dedup();
        // The lock can have changed hands while the threads were listed.
        let owner = if let [owner] = owners[..] { held_by(owner) } else { String::new() };
        let message = format!("{threads} (futex {futex:#x}{owner}): {}", names(&waiting));
        let evidence = known.map(|lock| evidence(lock, facts)).unwrap_or_default();
        Some(Finding {
            threads: ids(&waiting),
            evidence,
            ..finding("thread.lock-wait", Severity::Info, message)
        })
    };
    locks.into_iter().filter_map(of_lock).collect()
}

/// The lock that a thread waits for.
fn lock_of<'a>(facts: &Facts<'a>, tid: u32) -> Option<&'a Lock> {
    facts.locks().find(|lock| lock.waiters.iter().any(|waiter| waiter.tid == tid))
}

/// Where threads wait for the lock, and what the threads that hold it are doing.
fn evidence(lock: &Lock, facts: &Facts<'_>) -> Vec<Evidence> {
    let places: BTreeSet<u32> = lock.waiters.iter().filter_map(|waiter| waiter.frame).collect();
    let waits = places.into_iter().take(MAX_EVIDENCE).map(|frame| {
        let first = lock.waiters.iter().find(|waiter| waiter.frame == Some(frame));
        let threads = lock.waiters.iter().filter(|waiter| waiter.frame == Some(frame)).count();
        Evidence {
            message: count(threads, "thread waits", "threads wait"),
            thread: first.map(|waiter| waiter.tid),
            frame: Some(frame),
            ..Evidence::default()
        }
    });
    waits.chain(lock.holders.iter().take(MAX_EVIDENCE).map(|holder| holds(holder, facts))).collect()
}

/// `#7 (client-1) holds it and waits in sendto: TCP ..`
fn holds(holder: &Holder, facts: &Facts<'_>) -> Evidence {
    let thread = facts.threads().find(|thread| thread.tid == holder.tid);
    let name = thread_name(facts, holder.tid);
    let doing = match thread.map(|thread| (thread.waiting.as_ref(), lock_of(facts, thread.tid))) {
        Some((_, Some(lock))) => format!(" and waits for the lock {:#x}", lock.address),
        Some((Some(waiting), None)) => {
            let target = waiting.target.as_ref().or(waiting.path.as_ref()).or(waiting.peer.as_ref());
            let target = target.map(|target| format!(" ({target})")).unwrap_or_default();
            format!(" and waits in {}{target}", waiting.call)
        }
        Some((None, None)) => " and runs".to_owned(),
        None => String::new(),
    };
    let message = match holder.certainty {
        Certainty::Certain => format!("{name} holds it{doing}"),
        Certainty::Probable | Certainty::Possible => format!("{name} may hold it{doing}"),
    };
    Evidence { message, thread: Some(holder.tid), frame: holder.frame, ..Evidence::default() }
}

/// `, held by #42 (worker)`
fn held_by(owner: &FutexOwner) -> String {
    match &owner.name {
        Some(name) if !name.is_empty() => format!(", held by #{} ({name})", owner.tid),
        _ => format!(", held by #{}", owner.tid),
    }
}

/// Whether each of the report's frames is in a function that is known to wait for a lock. Threads
/// share frames, and there can be thousands of threads.
fn locks(frames: &[Frame]) -> Vec<bool> {
    const LOCKS: [&str; 7] = [
        "lock_contended",
        "lock_slow",
        "read_contended",
        "write_contended",
        "pthread_mutex_lock",
        "pthread_rwlock_",
        "__lll_lock_wait",
    ];
    let is_lock = |frame: &Frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        LOCKS.iter().any(|lock| function.contains(lock))
    };
    frames.iter().map(is_lock).collect()
}

/// Whether one of the innermost functions is one of `locks`.
fn waits_for_a_lock(locks: &[bool], thread: &Thread) -> bool {
    /// Frames to search: enough for those between the system call and the lock's function, with
    /// inlined ones.
    const INNERMOST: usize = 8;
    let innermost = thread.stack.frames.iter().take(INNERMOST);
    innermost.filter_map(|&index| locks.get(usize::try_from(index).ok()?)).any(|is_lock| *is_lock)
}
