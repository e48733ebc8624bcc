//! The local ports that the kernel chooses for connections, and how many are used for the peers of
//! this process.
//!
//! A connection is told from others by its two addresses and ports. So there can be as many from one
//! address to one peer as there are ports. To count them, all connections of the network namespace
//! have to be listed; that is done only if there are enough of them to use up the ports.

use std::net::{IpAddr, SocketAddr};

use super::sockets;
use crate::model::{EphemeralPorts, PortsOfPeer};
use crate::sys::hash::HashSet;
use crate::sys::linux::sock_diag::{TcpSocket, Which};
use crate::sys::{proc, sort};

/// The most peers that are told apart.
const MAX_PEERS: usize = 8;

/// How much of each of the tables in `/proc` is read: the connections of all ports at one address.
const MAX_TABLE: u64 = 8 << 20;

/// The kernel's number of a connection that is closed and waits for late packets.
const TIME_WAIT: u8 = 6;

/// A port that a connection uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    local: IpAddr,
    peer: SocketAddr,
    port: u16,
    is_closed: bool,
    is_own: bool,
}

/// How many ports are used for the peers of these connections of the process. `None` if the
/// namespace has fewer connections than three quarters of the ports, and if that is not known.
pub(super) fn in_use(own: &HashSet<u64>) -> Option<EphemeralPorts> {
    if own.is_empty() {
        return None;
    }
    let (first, last) = range(&setting("ip_local_port_range")?)?;
    let reserved = reserved(&setting("ip_local_reserved_ports").unwrap_or_default(), first, last);
    let available = (u64::from(last - first) + 1).saturating_sub(reserved);
    if available == 0 || connections()? < available - available / 4 {
        return None;
    }
    let reuse = setting("tcp_tw_reuse").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let mut uses = Vec::new();
    sockets::each_tcp(Which::All, MAX_TABLE, |socket| {
        if (first..=last).contains(&socket.local.port()) && !can_be_taken(socket, reuse) {
            uses.push(Use {
                local: socket.local.ip(),
                peer: socket.peer,
                port: socket.local.port(),
                is_closed: socket.state == TIME_WAIT,
                is_own: own.contains(&socket.inode),
            });
        }
    });
    Some(EphemeralPorts { first, last, available, peers: of_peers(uses) })
}

/// A setting of this network namespace.
fn setting(name: &str) -> Option<String> {
    proc::read_text(&format!("sys/net/ipv4/{name}")).ok()
}

/// Parses two numbers: the first port and the last one.
fn range(text: &str) -> Option<(u16, u16)> {
    let mut ports = text.split_ascii_whitespace().map(|port| port.parse().ok());
    let (first, last): (u16, u16) = (ports.next()??, ports.next()??);
    (first <= last).then_some((first, last))
}

/// How many ports of the range are in a list such as `8080,33000-33009`.
fn reserved(text: &str, first: u16, last: u16) -> u64 {
    let ranges = text.trim().split(',').filter_map(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some((from.parse::<u16>().ok()?.max(first), to.parse::<u16>().ok()?.min(last)))
    });
    ranges.filter(|(from, to)| from <= to).map(|(from, to)| u64::from(to - from) + 1).sum()
}

/// How many TCP sockets there are in the network namespace, also closed ones.
fn connections() -> Option<u64> {
    let of_both = proc::read_text("thread-self/net/sockstat").ok()?;
    // There is none without IPv6.
    let of_v6 = proc::read_text("thread-self/net/sockstat6").unwrap_or_default();
    let open = counted(&of_both, "TCP:", "inuse")? + counted(&of_v6, "TCP6:", "inuse").unwrap_or(0);
    Some(open + counted(&of_both, "TCP:", "tw")?)
}

/// A number in a line such as `TCP: inuse 5 orphan 0 tw 12`.
fn counted(text: &str, line: &str, name: &str) -> Option<u64> {
    let mut words = text.lines().find_map(|text| text.strip_prefix(line))?.split_ascii_whitespace();
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

/// Whether a new connection can have the port of this one: with `tcp_tw_reuse`, it can if this one is
/// closed, on the loopback interface only (2) or everywhere (1).
fn can_be_taken(socket: &TcpSocket, reuse: u8) -> bool {
    socket.state == TIME_WAIT
        && match reuse {
            0 => false,
            2 => socket.local.ip().is_loopback() || socket.peer.ip().is_loopback(),
            _ => true,
        }
}

/// How many ports are used for each peer to which the process has connections.
fn of_peers(mut uses: Vec<Use>) -> Vec<PortsOfPeer> {
    sort::all(&mut uses);
    // Several sockets can have the same addresses and ports, one of each state.
    uses.dedup_by_key(|one| (one.local, one.peer, one.port));
    let same = |one: &Use, next: &Use| (one.local, one.peer) == (next.local, next.peer);
    let count = |uses: &[Use], is: fn(&Use) -> bool| uses.iter().filter(|one| is(one)).count() as u64;
    let peers = uses.chunk_by(same).filter(|uses| uses.iter().any(|one| one.is_own));
    let mut peers: Vec<PortsOfPeer> = peers
        .map(|uses| PortsOfPeer {
            local: uses[0].local.to_string(),
            peer: uses[0].peer.to_string(),
            used: uses.len() as u64,
            closed: count(uses, |one| one.is_closed),
            own: count(uses, |one| one.is_own),
        })
        .collect();
    sort::by_key(&mut peers, |peer| std::cmp::Reverse(peer.used));
    peers.truncate(MAX_PEERS);
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_counts_are_parsed() {
        assert_eq!(range("32768\t60999\n"), Some((32768, 60999)));
        assert_eq!((range("60999\t32768\n"), range("")), (None, None));
        assert_eq!(reserved("8080,9148\n", 9000, 9999), 1);
        assert_eq!(reserved("8080-9009,9990-10010\n", 9000, 9999), 20);
        assert_eq!(reserved("\n", 9000, 9999), 0);
        let text = "sockets: used 7\nTCP: inuse 5 orphan 0 tw 12 alloc 7 mem 1\nUDP: inuse 1 mem 0\n";
        assert_eq!((counted(text, "TCP:", "inuse"), counted(text, "TCP:", "tw")), (Some(5), Some(12)));
        assert_eq!((counted(text, "UDP:", "tw"), counted("", "TCP:", "tw")), (None, None));
    }

    #[test]
    fn closed_connections_keep_their_ports_unless_those_can_be_used_again() {
        let socket = |local: &str, state| TcpSocket {
            inode: 0,
            local: local.parse().unwrap(),
            peer: "10.0.0.7:5432".parse().unwrap(),
            state,
            receive_queue: 0,
            send_queue: 0,
        };
        let closed = [socket("127.0.0.1:40000", TIME_WAIT), socket("10.0.0.1:40000", TIME_WAIT)];
        for (reuse, expected) in [(0, [false, false]), (1, [true, true]), (2, [true, false])] {
            assert_eq!(closed.each_ref().map(|socket| can_be_taken(socket, reuse)), expected, "{reuse}");
        }
        assert!(!can_be_taken(&socket("127.0.0.1:40000", 1), 1));
    }

    #[test]
    fn ports_are_counted_by_both_addresses() {
        let mut uses: Vec<Use> = (0..12)
            .map(|port| Use {
                local: "10.0.0.1".parse().unwrap(),
                peer: "10.0.0.7:5432".parse().unwrap(),
                port: 40_000 + port,
                is_closed: port >= 9,
                is_own: port < 2,
            })
            .collect();
        let one = uses[0];
        uses.push(Use { is_closed: true, is_own: false, ..one });
        uses.push(Use { local: "10.0.0.2".parse().unwrap(), ..one });
        uses.push(Use { peer: "10.0.0.8:5432".parse().unwrap(), is_own: false, ..one });
        let peers = of_peers(uses);
        let [most, other] = &peers[..] else { panic!("{peers:?}") };
        assert_eq!((&*most.local, &*most.peer), ("10.0.0.1", "10.0.0.7:5432"));
        assert_eq!((most.used, most.closed, most.own), (12, 3, 2));
        assert_eq!((&*other.local, other.used), ("10.0.0.2", 1));
    }
}
