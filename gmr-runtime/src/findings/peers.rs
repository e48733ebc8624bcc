//! `peer.waits`: threads that wait for the same remote address.
//!
//! Who waits for a peer may do so by design, as a client does between two messages. So it is never
//! more than an `info`.

use std::collections::BTreeSet;

use super::facts::{Facts, MAX_EVIDENCE, connection, count, fact, finding, ids, name, names};
use crate::model::{Evidence, Finding, Severity, Thread, Waiting};
use crate::sys::sorted_map::SortedMap;
use crate::units::duration;

/// Below this many, the thread itself says what it waits for.
const MIN_WAITERS: usize = 2;

/// A remote address, and the state of the connections to it.
type Peer<'a> = (&'a str, Option<&'a str>);

/// The threads that wait for each address, where there are several.
fn waiters<'a>(facts: &Facts<'a>) -> Vec<(Peer<'a>, Vec<&'a Thread>)> {
    let mut waiters: SortedMap<Peer<'_>, Vec<&Thread>> = SortedMap::new();
    for thread in facts.threads() {
        if let Some(peer) = thread.waiting.as_deref().and_then(peer) {
            waiters.entry(peer).push(thread);
        }
    }
    let waiters = waiters.into_iter().filter(|(_, threads)| threads.len() >= MIN_WAITERS);
    waiters.collect()
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    waiters(facts).into_iter().map(|(peer, threads)| about(facts, peer, &threads)).collect()
}

/// Some of the connections to each of these addresses.
pub(super) fn connections(facts: &Facts<'_>) -> BTreeSet<String> {
    let waiters = waiters(facts);
    let some = waiters.iter().flat_map(|(_, threads)| threads.iter().take(MIN_WAITERS));
    some.filter_map(|thread| connection(thread.waiting.as_deref()?)).map(str::to_owned).collect()
}

/// The peer that a call waits for. `None` if there is none, or if there may be several.
fn peer(waiting: &Waiting) -> Option<Peer<'_>> {
    let target = match &waiting.descriptors[..] {
        [] => waiting.target.as_deref(),
        [only] if waiting.more_descriptors == 0 => only.target.as_deref(),
        _ => return None,
    };
    target.and_then(peer_of).or_else(|| Some((waiting.peer.as_deref()?, None)))
}

/// The peer in a description of a socket, such as
/// `TCP 10.0.0.1:40112 -> 10.0.0.7:5432, established`.
fn peer_of(target: &str) -> Option<Peer<'_>> {
    if let Some(target) = target.strip_prefix("TCP ") {
        let (peer, state) = target.split_once(" -> ")?.1.split_once(", ")?;
        return Some((peer, Some(state)));
    }
    if let Some(target) = target.strip_prefix("UDP ") {
        return Some((target.split_once(", peer ")?.1, None));
    }
    Some((target.strip_prefix("Unix socket [")?.split_once("] -> ")?.1, None))
}

fn about(facts: &Facts<'_>, (peer, state): Peer<'_>, threads: &[&Thread]) -> Finding {
    let waiters = count(threads.len(), "thread waits", "threads wait");
    let state = state.map(|state| format!(" ({state})")).unwrap_or_default();
    let message = format!("{waiters} for {peer}{state}: {}", names(threads));
    let mut calls: SortedMap<&str, u64> = SortedMap::new();
    for waiting in threads.iter().filter_map(|thread| thread.waiting.as_deref()) {
        *calls.entry(waiting.call.as_str()) += 1;
    }
    let calls: Vec<(&str, u64)> = calls.into_iter().collect();
    let is_one = calls.len() == 1;
    let calls = calls.into_iter().map(|(call, count)| {
        fact(if is_one { format!("waiting in {call}") } else { format!("{count} of them in {call}") })
    });
    let longest = threads.iter().max_by_key(|thread| thread.at_rest_ms);
    let longest = longest.and_then(|thread| {
        let time = duration(thread.at_rest_ms.filter(|time| *time > 0)?);
        let message = format!("{} has not run for at least {time}", name(thread));
        Some(Evidence { thread: Some(thread.tid), ..fact(message) })
    });
    let calls = calls.take(MAX_EVIDENCE);
    let peers = threads.iter().filter_map(|thread| facts.peer_of(thread.waiting.as_deref()?));
    let mut peers: Vec<_> = peers.map(|peer| (peer.process.as_str(), peer.is_this_process)).collect();
    peers.dedup();
    let is_here = !peers.is_empty() && peers.iter().all(|(_, is_this_process)| *is_this_process);
    let processes = peers.into_iter().map(|(process, _)| fact(format!("at the other end: {process}")));
    let here = listens(facts, peer);
    let next = match here {
        Some(descriptor) => {
            let condition = if is_here { "" } else { ", if it is the peer" };
            format!("why this process does not accept or answer at its descriptor {descriptor}{condition}")
        }
        None => "the peer, and the network on the way to it".to_owned(),
    };
    let here = here.map(|descriptor| {
        fact(format!("this process listens at {peer} itself: its descriptor {descriptor}"))
    });
    Finding {
        threads: ids(threads),
        evidence: calls.chain(longest).chain(processes).chain(here).collect(),
        next: Some(next),
        ..finding("peer.waits", Severity::Info, message)
    }
}

/// The descriptor with which this process itself listens at that address. Others can do so, too.
fn listens(facts: &Facts<'_>, peer: &str) -> Option<i32> {
    let sockets = &facts.descriptors()?.sockets;
    let here = |group: &&crate::model::SocketGroup| {
        group.state.as_deref() == Some("listening") && group.local.as_deref() == Some(peer)
    };
    sockets.iter().find(here).map(|group| group.descriptor)
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::super::tests::{section, thread};
    use super::super::{PeerProcess, Seen, find};
    use super::*;
    use crate::model::{Content, Descriptors, SocketGroup, Threads, Watched};

    fn on(target: &str) -> Waiting {
        Waiting { call: "recvfrom".into(), target: Some(target.to_owned()), ..Waiting::default() }
    }

    fn about(waits: Vec<Waiting>) -> Vec<Finding> {
        about_connections(waits, Vec::new())
    }

    /// The same where it is known who has the other ends of connections.
    fn about_connections(waits: Vec<Waiting>, peers: Vec<PeerProcess>) -> Vec<Finding> {
        let waits = waits.into_iter().zip(1..);
        let threads =
            waits.map(|(waiting, tid)| Thread { waiting: Some(waiting.into()), ..thread(tid, "client") });
        // Less than what makes a thread stuck.
        let threads =
            threads.map(|thread| Thread { at_rest_ms: Some(u64::from(thread.tid)), ..thread }).collect();
        let threads = Content::Threads(Threads { threads, ..Threads::default() });
        let server = SocketGroup {
            local: Some("10.0.0.7:80".into()),
            state: Some("listening".into()),
            descriptor: 4,
            ..SocketGroup::default()
        };
        let descriptors = Descriptors { sockets: vec![server], ..Descriptors::default() };
        let descriptors = Content::Descriptors(Box::new(descriptors));
        let sections = [section("Threads", threads), section("Descriptors", descriptors)];
        find(&sections, &[], &Seen { peers, ..Seen::default() }, &[])
    }

    #[test]
    fn threads_are_grouped_by_the_remote_address() {
        let to = |port: u32| on(&format!("TCP 10.0.0.1:{port} -> 10.0.0.7:5432, established"));
        let found = about(vec![to(1), on("TCP 10.0.0.1:9 -> 10.0.0.8:5432, established"), to(2), to(3)]);
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!((found.code.as_str(), found.severity), ("peer.waits", Severity::Info));
        assert!(found.message.starts_with("3 threads wait for 10.0.0.7:5432 (established): #1"), "{found:?}");
        assert_eq!(found.threads, [1, 3, 4]);
        assert_eq!(found.evidence[0].message, "waiting in recvfrom");
        assert_eq!(found.evidence[1].message, "#4 (client) has not run for at least 4 ms");
    }

    #[test]
    fn a_peer_can_be_of_any_kind_and_this_process() {
        let connect = Waiting { peer: Some("10.0.0.9:1".into()), ..on("TCP 10.0.0.1:1, close") };
        let watched = Watched { target: on("UDP 10.0.0.1:9, peer 10.0.0.2:53").target, ..Watched::default() };
        let poll = Waiting { descriptors: vec![watched.clone()], ..on("") };
        let unix = on("Unix socket [4711] -> /run/shop.sock");
        let own = on("TCP 10.0.0.7:9 -> 10.0.0.7:80, established");
        let several = Waiting { descriptors: vec![watched; 2], ..on("") };
        let each = [connect, poll, unix, own, several];
        let found = about(each.iter().chain(&each).cloned().collect());
        let messages: Vec<_> = found.iter().map(|found| found.message.split(':').next().unwrap()).collect();
        assert_eq!(messages.len(), 4, "{messages:?}");
        let own = found.iter().find(|found| found.message.contains("10.0.0.7:80")).unwrap();
        assert!(own.evidence[2].message.contains("listens at 10.0.0.7:80 itself"), "{own:?}");
        assert!(found.iter().any(|found| found.message.contains(" for /run/shop.sock: ")), "{messages:?}");
    }

    #[test]
    fn what_to_look_at_next_is_as_sure_as_who_the_peer_is() {
        let own = "TCP 10.0.0.7:9 -> 10.0.0.7:80, established";
        let next = |is_this_process: Option<bool>| {
            let process = |is_this_process| PeerProcess {
                connection: own.to_owned(),
                process: "process 7 (nginx)".to_owned(),
                is_this_process,
            };
            let peers = is_this_process.map(process).into_iter().collect();
            let found = about_connections(vec![on(own), on(own)], peers);
            found[0].next.clone().unwrap()
        };
        let sure = "why this process does not accept or answer at its descriptor 4";
        assert_eq!(next(Some(true)), sure);
        assert_eq!(next(Some(false)), format!("{sure}, if it is the peer"));
        assert_eq!(next(None), format!("{sure}, if it is the peer"));
    }

    #[test]
    fn a_single_thread_and_those_without_a_peer_are_none() {
        let waits = vec![
            on("TCP 10.0.0.1:1 -> 10.0.0.7:5432, established"),
            on("TCP 10.0.0.1:80, listening"),
            on("TCP 10.0.0.1:80, listening"),
            on("pipe:[4711]"),
            on("pipe:[4711]"),
            on("Unix socket [4711]"),
            on("Unix socket [4711]"),
        ];
        assert_eq!(about(waits), []);
    }
}
