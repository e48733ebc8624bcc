//! `thread.lock-wait`: threads that wait for a lock, one finding per lock: where they wait, and who
//! holds it and what it is doing, if that is known.

use std::collections::BTreeSet;

use super::deadlock;
use super::facts::{Facts, MAX_EVIDENCE, connection, count, fact, finding, ids, names, place, thread_name};
use crate::model::{Certainty, Evidence, Finding, Frame, FutexOwner, Holder, Lock, Severity, Thread};
use crate::sys::sorted_map::SortedMap;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let functions = locks(facts.frames);
    let mut locks: SortedMap<u64, Vec<&Thread>> = SortedMap::new();
    for thread in facts.threads() {
        let Some(waiting) = &thread.waiting else { continue };
        // A futex that records its owner is that of a lock.
        let is_lock = waiting.futex_owner.is_some() || waits_for_a_lock(&functions, thread);
        if let Some(futex) = waiting.futex.filter(|_| is_lock) {
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
        let owners = waiting.iter().filter_map(|thread| thread.waiting.as_deref()?.futex_owner.as_ref());
        let mut owners: Vec<&FutexOwner> = owners.collect();
        owners.dedup();
        // The lock can have changed hands while the threads were listed.
        let owner = if let [owner] = owners[..] { held_by(owner) } else { String::new() };
        let message = format!("{threads} (futex {futex:#x}{owner}): {}", names(&waiting));
        let mut evidence = known.map(|lock| evidence(lock, facts)).unwrap_or_default();
        if owner.is_empty() && known.is_none_or(|lock| lock.holders.is_empty()) {
            evidence.push(fact("who holds it is not known".to_owned()));
        }
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
    waits.chain(lock.holders.iter().take(MAX_EVIDENCE).flat_map(|holder| chain(holder, facts))).collect()
}

/// A thread that holds the lock; the thread that this one waits for, if it is known; and so on.
fn chain(holder: &Holder, facts: &Facts<'_>) -> Vec<Evidence> {
    /// Longer chains are rare, and each of their locks has a finding of its own.
    const MAX_STEPS: usize = 4;
    let mut chain = vec![step(holder.tid, holder.frame, &holds(holder, "it"), facts)];
    let (mut seen, mut at) = (vec![holder.tid], holder.tid);
    while seen.len() < MAX_STEPS {
        let (next, frame, holds) = if let Some(lock) = lock_of(facts, at) {
            // Of several readers, each may be the one that matters.
            let [next] = &lock.holders[..] else { break };
            (next.tid, next.frame, holds(next, &format!("{:#x}", lock.address)))
        } else if let Some(joined) = facts.thread(at).and_then(|thread| thread.waiting.as_deref()?.joins) {
            let frame = facts.thread(joined).and_then(|thread| place(thread, facts.frames));
            (joined, frame, String::new())
        } else {
            break;
        };
        if seen.contains(&next) {
            break;
        }
        seen.push(next);
        at = next;
        chain.push(step(next, frame, &holds, facts));
    }
    chain.extend(peer(at, facts));
    chain
}

/// The process that a thread waits for, at the other end of a connection.
fn peer(tid: u32, facts: &Facts<'_>) -> Option<Evidence> {
    let peer = facts.peer_of(facts.thread(tid)?.waiting.as_deref()?)?;
    let message = format!("the other end of this connection: {}", peer.process);
    Some(Evidence { thread: Some(tid), ..fact(message) })
}

/// The connections that threads wait for that hold a lock, or that such a thread waits for.
pub(super) fn connections(facts: &Facts<'_>) -> BTreeSet<String> {
    let holders = facts.locks().flat_map(|lock| lock.holders.iter().take(MAX_EVIDENCE));
    let chains = holders.flat_map(|holder| chain(holder, facts));
    let waiting = chains.filter_map(|step| facts.thread(step.thread?)?.waiting.as_deref());
    waiting.filter_map(connection).map(str::to_owned).collect()
}

/// ` holds it`
fn holds(holder: &Holder, lock: &str) -> String {
    match holder.certainty {
        Certainty::Certain => format!(" holds {lock}"),
        Certainty::Probable | Certainty::Possible => format!(" may hold {lock}"),
    }
}

/// `#7 (client-1) holds it and waits in sendto: TCP ..`
fn step(tid: u32, frame: Option<u32>, holds: &str, facts: &Facts<'_>) -> Evidence {
    let doing = doing(tid, facts);
    let and = if holds.is_empty() || doing.is_empty() { "" } else { " and" };
    let message = format!("{}{holds}{and}{doing}", thread_name(facts, tid));
    Evidence { message, thread: Some(tid), frame, ..Evidence::default() }
}

/// ` waits in sendto: TCP ..`
fn doing(tid: u32, facts: &Facts<'_>) -> String {
    let Some(thread) = facts.thread(tid) else { return String::new() };
    if let Some(lock) = lock_of(facts, tid) {
        return format!(" waits for the lock {:#x}", lock.address);
    }
    let Some(waiting) = &thread.waiting else { return " runs".to_owned() };
    if let Some(joined) = waiting.joins {
        return format!(" waits for {} to end", thread_name(facts, joined));
    }
    let target = waiting.target.as_ref().or(waiting.path.as_ref()).or(waiting.peer.as_ref());
    let target = target.map(|target| format!(" ({target})")).unwrap_or_default();
    format!(" waits in {}{target}", waiting.call)
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
