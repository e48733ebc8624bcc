//! `deadlock.std-lock`, `deadlock.pthread-mutex`, `deadlock.self`: threads that wait for each
//! other's locks, or for a lock of their own.
//!
//! It fires only if none of the threads has moved between the report's first look and the second.

use std::collections::BTreeSet;

use super::facts::{Facts, MAX_EVIDENCE, finding, thread_name};
use super::second_look::SecondLook;
use crate::model::{Certainty, Evidence, Finding, Holder, Lock, LockKind, Severity, Waiter};

/// One thread of a cycle: it waits for a lock, which the next thread holds.
#[derive(Clone, Copy)]
struct Edge<'a> {
    lock: &'a Lock,
    waiter: &'a Waiter,
    holder: &'a Holder,
}

/// The threads whose second look would confirm a deadlock.
pub(super) fn suspects(facts: &Facts<'_>) -> BTreeSet<u32> {
    cycles(facts).iter().flatten().map(|edge| edge.waiter.tid).collect()
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    if *facts.second == SecondLook::NotTaken {
        return Vec::new();
    }
    let stuck = |cycle: &Vec<Edge<'_>>| !cycle.iter().any(|edge| facts.second.has_moved(edge.waiter.tid));
    cycles(facts).into_iter().filter(stuck).map(|cycle| describe(&cycle, facts)).collect()
}

/// The locks of all deadlocks that are found.
pub(super) fn locks(facts: &Facts<'_>) -> BTreeSet<u64> {
    let found = find(facts);
    let is_in = |lock: &&Lock| {
        lock.waiters.iter().any(|waiter| found.iter().any(|finding| finding.threads.contains(&waiter.tid)))
    };
    facts.locks().filter(is_in).map(|lock| lock.address).collect()
}

/// All cycles, each once.
fn cycles<'a>(facts: &Facts<'a>) -> Vec<Vec<Edge<'a>>> {
    let mut cycles = Vec::new();
    let mut done = BTreeSet::new();
    let holders: BTreeSet<u32> =
        facts.locks().flat_map(|lock| &lock.holders).map(|holder| holder.tid).collect();
    for holder in holders {
        if let Some(cycle) = cycle_from(facts, holder, &done) {
            done.extend(cycle.iter().map(|edge| edge.waiter.tid));
            cycles.push(cycle);
        }
    }
    cycles
}

/// The shortest cycle that begins at a thread, without the threads that are done.
fn cycle_from<'a>(facts: &Facts<'a>, start: u32, done: &BTreeSet<u32>) -> Option<Vec<Edge<'a>>> {
    let mut seen = BTreeSet::from([start]);
    let mut paths = vec![Vec::new()];
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            let at = path.last().map_or(start, |edge: &Edge<'_>| edge.holder.tid);
            if done.contains(&at) {
                continue;
            }
            for edge in edges_from(facts, at) {
                let mut path: Vec<Edge<'a>> = path.clone();
                path.push(edge);
                if edge.holder.tid == start {
                    return Some(path);
                }
                if seen.insert(edge.holder.tid) {
                    longer.push(path);
                }
            }
        }
        paths = longer;
    }
    None
}

/// The locks that a thread waits for, each with the threads that hold it for certain.
fn edges_from<'a>(facts: &Facts<'a>, tid: u32) -> Vec<Edge<'a>> {
    let mut edges = Vec::new();
    for lock in facts.locks() {
        for waiter in lock.waiters.iter().filter(|waiter| waiter.tid == tid) {
            let certain = lock.holders.iter().filter(|holder| holder.certainty == Certainty::Certain);
            edges.extend(certain.map(|holder| Edge { lock, waiter, holder }));
        }
    }
    edges
}

fn describe(cycle: &[Edge<'_>], facts: &Facts<'_>) -> Finding {
    let tids: Vec<u32> = cycle.iter().map(|edge| edge.waiter.tid).collect();
    let names: Vec<String> = tids.iter().take(MAX_EVIDENCE).map(|&tid| thread_name(facts, tid)).collect();
    let more = tids.len().saturating_sub(MAX_EVIDENCE);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let names = format!("{}{more}", names.join(", "));
    let waiters: BTreeSet<u32> =
        cycle.iter().flat_map(|edge| &edge.lock.waiters).map(|waiter| waiter.tid).collect();
    let others = match waiters.iter().filter(|tid| !tids.contains(tid)).count() {
        0 => String::new(),
        1 => "; 1 other thread waits for these locks".to_owned(),
        others => format!("; {others} other threads wait for these locks"),
    };
    let message = match cycle.len() {
        1 => format!("deadlock: {names} waits for a lock that it holds itself{others}"),
        count => format!("deadlock: {count} threads wait for each other's locks: {names}{others}"),
    };
    let is_of_std = cycle.iter().all(|edge| edge.lock.kind != LockKind::PthreadMutex);
    let code = match (cycle.len(), is_of_std) {
        (1, _) => "deadlock.self",
        (_, true) => "deadlock.std-lock",
        (_, false) => "deadlock.pthread-mutex",
    };
    let evidence = cycle.iter().take(MAX_EVIDENCE).flat_map(|edge| of_edge(edge, facts)).collect();
    let next = match cycle.len() {
        1 => "what locks it the second time",
        _ => "the order in which these functions lock",
    };
    let next = Some(next.to_owned());
    Finding { threads: tids, evidence, next, ..finding(code, Severity::Error, message) }
}

/// That a thread waits for a lock, and that another one holds it.
fn of_edge(Edge { lock, waiter, holder }: &Edge<'_>, facts: &Facts<'_>) -> [Evidence; 2] {
    let (kind, address) = (kind(lock.kind), lock.address);
    let (waits, holds) = (thread_name(facts, waiter.tid), thread_name(facts, holder.tid));
    let verb = if lock.kind == LockKind::Once { "initializes" } else { "holds" };
    [
        Evidence {
            message: format!("{waits} waits for the {kind} {address:#x}"),
            thread: Some(waiter.tid),
            frame: waiter.frame,
            ..Evidence::default()
        },
        Evidence {
            message: format!("{holds} {verb} it"),
            thread: Some(holder.tid),
            frame: holder.frame,
            ..Evidence::default()
        },
    ]
}

fn kind(kind: LockKind) -> &'static str {
    match kind {
        LockKind::Mutex => "Mutex",
        LockKind::RwLock => "RwLock",
        LockKind::Once => "Once",
        LockKind::PthreadMutex => "pthread mutex",
    }
}
