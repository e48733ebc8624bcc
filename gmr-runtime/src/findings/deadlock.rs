//! `deadlock.std-lock`, `deadlock.pthread-mutex`, `deadlock.join`, `deadlock.self`: threads of
//! which each waits for the next one: for a lock that it holds, or for its end.
//!
//! It fires only if none of the threads has moved between the report's first look and the second.

use std::collections::{BTreeSet, VecDeque};

use super::facts::{Facts, MAX_EVIDENCE, count, fact, finding, place, thread_name};
use crate::model::{Certainty, Evidence, Finding, Holder, Lock, LockKind, Severity, Thread, Waiter};
use crate::sys::sort;
use crate::sys::sorted_map::SortedMap;
use crate::units::duration;

/// One thread of a cycle: it waits for the next one.
#[derive(Clone, Copy)]
struct Edge<'a> {
    from: u32,
    to: u32,
    cause: Cause<'a>,
}

/// What the next thread has to do before the first one goes on.
#[derive(Clone, Copy)]
enum Cause<'a> {
    /// Release a lock.
    Lock { lock: &'a Lock, waiter: &'a Waiter, holder: &'a Holder },
    /// End. This is where it is joined.
    Join { frame: Option<u32> },
}

impl<'a> Edge<'a> {
    fn lock(&self) -> Option<&'a Lock> {
        match self.cause {
            Cause::Lock { lock, .. } => Some(lock),
            Cause::Join { .. } => None,
        }
    }
}

/// The threads whose second look would confirm a deadlock.
pub(super) fn suspects(facts: &Facts<'_>) -> BTreeSet<u32> {
    cycles(facts).iter().flatten().map(|edge| edge.from).collect()
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    if !facts.second.has_looked() {
        return Vec::new();
    }
    let stuck = |cycle: &Vec<Edge<'_>>| !cycle.iter().any(|edge| facts.second.has_moved(edge.from));
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
    let edges = edges(facts);
    let mut cycles = Vec::new();
    let mut done = BTreeSet::new();
    let starts: BTreeSet<u32> = edges.iter().map(|edge| edge.to).collect();
    for start in starts {
        match cycle_from(&edges, start, &done) {
            Some(cycle) => {
                done.extend(cycle.iter().map(|edge| edge.from));
                cycles.push(cycle);
            }
            // It is in no cycle, so no other one leads through it.
            None => done.extend([start]),
        }
    }
    cycles
}

/// The shortest cycle that begins at a thread, without the threads that are done.
fn cycle_from<'a>(edges: &[Edge<'a>], start: u32, done: &BTreeSet<u32>) -> Option<Vec<Edge<'a>>> {
    // The edge by which each thread was reached first: on a shortest path.
    let mut reached: SortedMap<u32, Option<Edge<'a>>> = SortedMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        if done.contains(&at) {
            continue;
        }
        let first = edges.partition_point(|edge| edge.from < at);
        for &edge in edges[first..].iter().take_while(|edge| edge.from == at) {
            if edge.to == start {
                let mut cycle = vec![edge];
                while let Some(from) = cycle.last().map(|edge| edge.from).filter(|from| *from != start) {
                    let Some(Some(before)) = reached.get(&from) else { break };
                    cycle.push(*before);
                }
                cycle.reverse();
                return Some(cycle);
            }
            let by = reached.entry(edge.to);
            if by.is_none() {
                *by = Some(edge);
                queue.push_back(edge.to);
            }
        }
    }
    None
}

/// Which thread waits for which other one, in order of those that wait: for the locks that others
/// hold for certain, and for the ends of others.
fn edges<'a>(facts: &Facts<'a>) -> Vec<Edge<'a>> {
    // Only threads that wait can be in a cycle. Of a lock with many readers, that is few.
    let joins = |thread: &Thread| thread.waiting.as_deref().and_then(|waiting| waiting.joins);
    let of_locks = facts.locks().flat_map(|lock| &lock.waiters).map(|waiter| waiter.tid);
    let of_joins = facts.threads().filter(|thread| joins(thread).is_some()).map(|thread| thread.tid);
    let waiting: BTreeSet<u32> = of_locks.chain(of_joins).collect();
    let mut edges = Vec::new();
    for lock in facts.locks() {
        let certain = lock.holders.iter().filter(|holder| holder.certainty == Certainty::Certain);
        for holder in certain.filter(|holder| waiting.contains(&holder.tid)) {
            edges.extend(lock.waiters.iter().map(|waiter| {
                let cause = Cause::Lock { lock, waiter, holder };
                Edge { from: waiter.tid, to: holder.tid, cause }
            }));
        }
    }
    for thread in facts.threads() {
        if let Some(to) = joins(thread).filter(|to| waiting.contains(to)) {
            let cause = Cause::Join { frame: place(thread, facts.frames) };
            edges.push(Edge { from: thread.tid, to, cause });
        }
    }
    sort::by_key(&mut edges, |edge| edge.from);
    edges
}

fn describe(cycle: &[Edge<'_>], facts: &Facts<'_>) -> Finding {
    let tids: Vec<u32> = cycle.iter().map(|edge| edge.from).collect();
    let names: Vec<String> = tids.iter().take(MAX_EVIDENCE).map(|&tid| thread_name(facts, tid)).collect();
    let more = tids.len().saturating_sub(MAX_EVIDENCE);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let names = format!("{}{more}", names.join(", "));
    let locks = || cycle.iter().filter_map(Edge::lock);
    let others = others(&locks().collect::<Vec<_>>(), &tids);
    let joins = locks().count() < cycle.len();
    let message = match cycle.len() {
        1 => format!("deadlock: {names} waits for a lock that it holds itself{others}"),
        count if joins => format!("deadlock: {count} threads wait for each other: {names}{others}"),
        count => format!("deadlock: {count} threads wait for each other's locks: {names}{others}"),
    };
    let is_of_std = locks().all(|lock| !matches!(lock.kind, LockKind::PthreadMutex | LockKind::Owned));
    let (code, next) = match (cycle.len(), joins, is_of_std) {
        (_, true, _) => ("deadlock.join", "what each thread holds while it waits for another one to end"),
        (1, ..) => ("deadlock.self", "what locks it the second time"),
        (_, _, true) => (
            "deadlock.std-lock",
            "the order in which these functions take the locks: it must be the same in all",
        ),
        (_, _, false) => (
            "deadlock.pthread-mutex",
            "the order in which these functions take the locks: it must be the same in all",
        ),
    };
    let edges = cycle.iter().take(MAX_EVIDENCE).flat_map(|edge| of_edge(edge, facts));
    let evidence = edges.chain(time_at_rest(&tids, facts)).collect();
    let next = Some(next.to_owned());
    Finding { threads: tids, evidence, next, ..finding(code, Severity::Error, message) }
}

/// For how long none of the threads has run: so long, at least, the deadlock has lasted. `None` unless
/// all of them have been at rest since an earlier list.
fn time_at_rest(tids: &[u32], facts: &Facts<'_>) -> Option<Evidence> {
    let times = tids.iter().map(|tid| facts.thread(*tid)?.at_rest_ms);
    let least = times.collect::<Option<Vec<u64>>>()?.into_iter().min().filter(|time| *time > 0)?;
    let time = duration(least);
    if let [tid] = *tids {
        let message = format!("{} has not run for at least {time}", thread_name(facts, tid));
        return Some(Evidence { thread: Some(tid), ..fact(message) });
    }
    Some(fact(format!("none of these threads has run in the last {time}")))
}

/// `; 3 other threads wait for one of these locks`: those that wait for locks of the cycle, and are
/// not in it.
fn others(locks: &[&Lock], cycle: &[u32]) -> String {
    let others_of = |lock: &Lock| -> BTreeSet<u32> {
        lock.waiters.iter().map(|waiter| waiter.tid).filter(|tid| !cycle.contains(tid)).collect()
    };
    let others: Vec<BTreeSet<u32>> = locks.iter().map(|lock| others_of(lock)).collect();
    let wanted = others.iter().filter(|others| !others.is_empty()).count();
    let threads = others.into_iter().flatten().collect::<BTreeSet<u32>>().len();
    if threads == 0 {
        return String::new();
    }
    let which = match (locks.len(), wanted) {
        (1, _) => "this lock",
        (_, 1) => "one of these locks",
        _ => "these locks",
    };
    format!("; {} {which}", count(threads, "other thread waits for", "other threads wait for"))
}

/// That a thread waits for a lock, and that another one holds it; or that it waits for the other
/// one to end.
fn of_edge(&Edge { from, to, cause }: &Edge<'_>, facts: &Facts<'_>) -> Vec<Evidence> {
    let (waits, next) = (thread_name(facts, from), thread_name(facts, to));
    let about =
        |thread, frame, message| Evidence { message, thread: Some(thread), frame, ..Evidence::default() };
    match cause {
        Cause::Join { frame } => vec![about(from, frame, format!("{waits} waits for {next} to end"))],
        Cause::Lock { lock, waiter, holder } => {
            let (kind, address) = (lock.kind.name(), lock.address);
            let verb = if lock.kind == LockKind::Once { "initializes" } else { "holds" };
            vec![
                about(from, waiter.frame, format!("{waits} waits for the {kind} {address:#x}")),
                about(to, holder.frame, format!("{next} {verb} it")),
            ]
        }
    }
}
