//! `limit.ports`: hardly any local port is left for connections to one of the process's peers.

use super::facts::{Facts, fact, finding};
use crate::model::{EphemeralPorts, Finding, PortsOfPeer, Severity};

/// The smallest range that is judged: whoever leaves a program fewer ports has counted them.
const LEAST: u64 = 64;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(ports) = facts.descriptors().and_then(|descriptors| descriptors.ephemeral_ports.as_ref()) else {
        return Vec::new();
    };
    let is_near = |peer: &&PortsOfPeer| peer.used >= ports.available - ports.available / 10;
    let near = ports.peers.iter().filter(is_near).filter(|_| ports.available >= LEAST);
    near.map(|peer| about(ports, peer)).collect()
}

fn about(ports: &EphemeralPorts, of: &PortsOfPeer) -> Finding {
    let EphemeralPorts { first, last, available, .. } = ports;
    let PortsOfPeer { local, peer, used, closed, own } = of;
    let (severity, message) = if used >= available {
        let message = format!(
            "all {available} local ports for connections from {local} to {peer} are in use: the next connect \
             fails"
        );
        (Severity::Error, message)
    } else {
        let message = format!(
            "{used} of at most {available} local ports for connections from {local} to {peer} are in use"
        );
        (Severity::Warning, message)
    };
    let of_process = format!(
        "{own} of them are of connections that this process has open, and {closed} of closed ones that wait for \
         late packets"
    );
    let range = format!("the kernel chooses from the ports {first} to {last} (ip_local_port_range)");
    let next = "what makes so many connections, and whether they can be kept and used again";
    Finding {
        evidence: vec![fact(of_process), fact(range)],
        next: Some(next.to_owned()),
        section: Some("Descriptors".to_owned()),
        ..finding("limit.ports", severity, message)
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::super::tests::with_descriptors;
    use super::*;
    use crate::model::Descriptors;

    fn found(available: u64, used: &[u64]) -> Vec<Finding> {
        let peer = |used: &u64| PortsOfPeer {
            local: "10.0.0.1".into(),
            peer: "10.0.0.7:5432".into(),
            used: *used,
            closed: 20,
            own: 30,
        };
        let peers = used.iter().map(peer).collect();
        let ports = EphemeralPorts { first: 40_000, last: 40_999, available, peers };
        with_descriptors(Descriptors { ephemeral_ports: Some(ports), ..Descriptors::default() })
    }

    #[test]
    fn nine_tenths_are_a_warning_and_all_are_an_error() {
        let findings = found(1_000, &[1_000, 900, 899]);
        let [all, near] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(
            (all.code.as_str(), all.severity, near.severity),
            ("limit.ports", Severity::Error, Severity::Warning)
        );
        let expected = "all 1000 local ports for connections from 10.0.0.1 to 10.0.0.7:5432 are in use: the next connect fails";
        assert_eq!(all.message, expected);
        let expected =
            "900 of at most 1000 local ports for connections from 10.0.0.1 to 10.0.0.7:5432 are in use";
        assert_eq!(near.message, expected);
        assert!(near.evidence[0].message.starts_with("30 of them are"), "{near:?}");
        assert!(near.evidence[1].message.contains("40000 to 40999"), "{near:?}");
    }

    #[test]
    fn few_uses_and_a_small_range_are_none() {
        assert_eq!(found(1_000, &[899]), []);
        assert_eq!(found(63, &[63]), []);
        assert_eq!(found(0, &[0]), []);
    }
}
