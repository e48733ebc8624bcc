//! `socket.backlog`: so many connections wait to be accepted at a listening socket that the kernel
//! drops new ones.

use super::facts::{Facts, count, fact, finding};
use crate::model::{Finding, Severity};

/// The smallest limit of a queue that is judged. A program that serves one client at a time may
/// listen with a queue of one, and has one waiting.
const LEAST: u64 = 16;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(descriptors) = facts.descriptors() else { return Vec::new() };
    let full = descriptors.sockets.iter().filter_map(|group| {
        let (queue, max) = (group.accept_queue?, group.accept_queue_max?);
        // The kernel lets one more wait than the limit says (`sk_acceptq_is_full`). A queue that is
        // nearly full is that of a healthy server in a burst.
        if queue <= max {
            return None;
        }
        let address = group.local.as_deref().unwrap_or("an unknown address");
        let message = format!(
            "{}, of at most {max}: the kernel drops new ones",
            count(
                usize::try_from(queue).unwrap_or(usize::MAX),
                &format!("connection to {address} waits to be accepted"),
                &format!("connections to {address} wait to be accepted")
            )
        );
        let severity = if max < LEAST { Severity::Info } else { Severity::Error };
        let overflows = descriptors.listen_overflows.filter(|count| *count > 0);
        let evidence = overflows.map(|count| {
            fact(format!(
                "the network namespace has counted {count} overflows, of all its processes together"
            ))
        });
        Some(Finding {
            evidence: evidence.into_iter().collect(),
            next: Some("the thread or task that accepts: what it waits for".to_owned()),
            section: Some("Descriptors".to_owned()),
            ..finding("socket.backlog", severity, message)
        })
    });
    full.collect()
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::super::tests::with_descriptors;
    use super::*;
    use crate::model::{Descriptors, SocketGroup};

    fn listening(queue: u64, max: Option<u64>) -> Descriptors {
        let group = SocketGroup {
            local: Some("0.0.0.0:80".into()),
            accept_queue: Some(queue),
            accept_queue_max: max,
            ..SocketGroup::default()
        };
        Descriptors { sockets: vec![group], listen_overflows: Some(7), ..Descriptors::default() }
    }

    #[test]
    fn only_a_queue_that_is_full_is_found() {
        let findings = with_descriptors(listening(129, Some(128)));
        let [found] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((found.code.as_str(), found.severity), ("socket.backlog", Severity::Error));
        assert!(found.message.starts_with("129 connections to 0.0.0.0:80 wait"), "{found:?}");
        assert!(found.evidence[0].message.contains("7 overflows"), "{found:?}");
        assert_eq!(with_descriptors(listening(2, Some(1)))[0].severity, Severity::Info);
        for other in [listening(128, Some(128)), listening(0, Some(0)), listening(500, None)] {
            assert_eq!(with_descriptors(other), []);
        }
    }
}
