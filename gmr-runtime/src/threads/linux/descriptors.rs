//! What a file descriptor refers to: a path, a pipe, a socket and its endpoints. Read from
//! `/proc/self/fd` and, for sockets, `/proc/self/net`.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::mask;
use crate::threads::ThreadInfo;

/// How much of a socket table is read: some ten thousand connections. Reading the tables of a
/// machine with more would take too long.
const MAX_TABLE: u64 = 2 << 20;

/// Sets, for each thread that waits on a descriptor, what the descriptor refers to.
pub(super) fn describe(threads: &mut [ThreadInfo]) {
    let waiting = || threads.iter().filter_map(|thread| thread.waiting.as_ref());
    let targets = targets(waiting().filter_map(|waiting| waiting.descriptor).collect());
    for waiting in threads.iter_mut().filter_map(|thread| thread.waiting.as_mut()) {
        waiting.target = waiting.descriptor.and_then(|descriptor| targets.get(&descriptor).cloned());
    }
}

/// What each of these descriptors refers to. Closed ones are missing.
fn targets(descriptors: HashSet<i32>) -> HashMap<i32, String> {
    let mut targets = HashMap::with_capacity(descriptors.len());
    let mut inodes = HashMap::new();
    for descriptor in descriptors {
        let Ok(link) = fs::read_link(format!("/proc/self/fd/{descriptor}")) else { continue };
        let link = link.to_string_lossy();
        inodes.extend(inode(&link).map(|inode| (descriptor, inode)));
        targets.insert(descriptor, mask::text(&link).into_owned());
    }
    let sockets = sockets(inodes.values().copied().collect());
    for (descriptor, inode) in inodes {
        targets.extend(sockets.get(&inode).map(|socket| (descriptor, socket.clone())));
    }
    targets
}

/// The inode of a socket, from the link of its descriptor.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Descriptions of the sockets with these inodes, from the tables of this process's network
/// namespace. A table lists the sockets of the whole machine: it is read line by line, and only up
/// to the last one wanted.
fn sockets(mut wanted: HashSet<u64>) -> HashMap<u64, String> {
    let mut sockets = HashMap::with_capacity(wanted.len());
    for table in &TABLES {
        if wanted.is_empty() {
            break;
        }
        let Ok(file) = File::open(format!("/proc/self/net/{}", table.name)) else { continue };
        table.find(BufReader::new(file.take(MAX_TABLE)), &mut wanted, &mut sockets);
    }
    sockets
}

/// One of the kernel's socket tables.
struct Table {
    name: &'static str,
    /// The index of the field that holds the inode.
    inode: usize,
    describe: fn(&[&str]) -> Option<String>,
}

impl Table {
    /// Takes the sockets of this table out of `wanted`, and describes them in `sockets`.
    fn find(&self, mut lines: impl BufRead, wanted: &mut HashSet<u64>, sockets: &mut HashMap<u64, String>) {
        let mut line = Vec::new();
        while !wanted.is_empty() && lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            let fields = text.split_ascii_whitespace();
            // The heading has no inode.
            let inode = fields.clone().nth(self.inode).and_then(|inode| inode.parse().ok());
            if let Some(inode) = inode.filter(|inode| wanted.remove(inode)) {
                let fields: Vec<&str> = fields.collect();
                sockets.extend((self.describe)(&fields).map(|socket| (inode, socket)));
            }
            line.clear();
        }
    }
}

const TABLES: [Table; 5] = [
    Table { name: "tcp", inode: 9, describe: |line| internet_socket(line, "TCP") },
    Table { name: "tcp6", inode: 9, describe: |line| internet_socket(line, "TCP") },
    Table { name: "udp", inode: 9, describe: |line| internet_socket(line, "UDP") },
    Table { name: "udp6", inode: 9, describe: |line| internet_socket(line, "UDP") },
    Table { name: "unix", inode: 6, describe: unix_socket },
];

/// Parses `sl local remote state tx:rx tr:when retrnsmt uid timeout inode`, addresses in
/// hexadecimal.
fn internet_socket(fields: &[&str], protocol: &str) -> Option<String> {
    let local = address(fields.get(1)?)?;
    let remote = address(fields.get(2)?)?;
    let state = state(u8::from_str_radix(fields.get(3)?, 16).ok()?);
    Some(if remote.port() == 0 {
        format!("{protocol} {local}, {state}")
    } else {
        format!("{protocol} {local} -> {remote}, {state}")
    })
}

/// Parses `0100007F:1538`: 32-bit words of the address in the machine's byte order, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        u32::from_str_radix(host.get(index * 8..index * 8 + 8)?, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = if host.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical()
    };
    Some(SocketAddr::new(ip, port))
}

/// The state by its number in the kernel's `tcp_states.h`.
fn state(number: u8) -> &'static str {
    const STATES: [&str; 12] = [
        "established",
        "syn sent",
        "syn received",
        "fin wait 1",
        "fin wait 2",
        "time wait",
        "close",
        "close wait",
        "last ack",
        "listening",
        "closing",
        "new syn received",
    ];
    number
        .checked_sub(1)
        .and_then(|index| STATES.get(usize::from(index)).copied())
        .unwrap_or("in an unknown state")
}

/// Parses `Num RefCount Protocol Flags Type St Inode Path`. Most have no path; a path can contain
/// spaces.
fn unix_socket(fields: &[&str]) -> Option<String> {
    Some(match fields.get(7..) {
        Some(path) if !path.is_empty() => format!("Unix socket {}", mask::text(&path.join(" "))),
        _ => format!("Unix socket [{}]", fields.get(6)?),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::damaged;

    /// Lines of `/proc/net/tcp`, `tcp6` and `unix`.
    const LINES: &str = "\
  0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 100 0 0 10 0
  1: 0000000000000000FFFF00000100007F:0050 00000000000000000000000001000000:A0C6 01 0:0 00:0 0 1000 0 4712 1
0000000000000000: 00000002 00000000 00010000 0001 01 4713 /run/a socket\n";

    proptest! {
        #[test]
        fn damaged_tables_are_parsed_without_panics(
            lines in damaged(LINES.as_bytes()),
            table in proptest::sample::select(vec![0, 1, 2, 3, 4_usize]),
        ) {
            let all = HashSet::from([0, 1, 4711, 4712, 4713]);
            let (mut wanted, mut sockets) = (all.clone(), HashMap::new());
            TABLES[table].find(&lines[..], &mut wanted, &mut sockets);
            prop_assert!(sockets.keys().all(|inode| all.contains(inode) && !wanted.contains(inode)));
        }
    }

    #[test]
    fn the_lines_to_damage_have_sockets() {
        let mut sockets = HashMap::new();
        for table in &TABLES {
            table.find(LINES.as_bytes(), &mut [4711, 4712, 4713].into(), &mut sockets);
        }
        assert_eq!(sockets.len(), 3, "{sockets:?}");
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_shown_as_people_write_them() {
        assert_eq!(address("0100007F:1538").unwrap().to_string(), "127.0.0.1:5432");
        assert_eq!(address("00000000000000000000000001000000:0050").unwrap().to_string(), "[::1]:80");
        assert_eq!(address("0000000000000000FFFF00000100007F:0050").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("0100007F"), None);
        assert_eq!(address("01:0050"), None);
    }

    #[test]
    fn both_ends_of_a_connection_are_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let own = stream.local_addr().unwrap().port();
        let targets = targets([stream.as_raw_fd(), listener.as_raw_fd()].into());
        let connected = format!("TCP 127.0.0.1:{own} -> 127.0.0.1:{port}, established");
        assert_eq!(targets[&stream.as_raw_fd()], connected);
        assert_eq!(targets[&listener.as_raw_fd()], format!("TCP 127.0.0.1:{port}, listening"));
    }

    #[test]
    fn other_sockets_and_files_are_named() {
        let (one, _other) = UnixStream::pair().unwrap();
        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        let path = std::env::temp_dir().join(format!("a socket of {}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let file = File::open("/dev/null").unwrap();
        let all = [one.as_raw_fd(), bound.as_raw_fd(), listener.as_raw_fd(), file.as_raw_fd()];
        let targets = targets(all.into());
        fs::remove_file(&path).unwrap();
        let socket = &targets[&one.as_raw_fd()];
        assert!(socket.starts_with("Unix socket ["), "{socket}");
        let bound_to = format!("UDP {}, close", bound.local_addr().unwrap());
        assert_eq!(targets[&bound.as_raw_fd()], bound_to);
        assert_eq!(targets[&listener.as_raw_fd()], format!("Unix socket {}", path.display()));
        assert_eq!(targets[&file.as_raw_fd()], "/dev/null");
    }

    #[test]
    fn a_closed_descriptor_has_no_target() {
        assert_eq!(targets([-1].into()), HashMap::new());
    }
}
