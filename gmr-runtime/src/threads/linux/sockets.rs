//! What a socket is: its protocol and endpoints, from the tables in `/proc/self/net`.

use crate::sys::hash::{HashMap, HashSet, Keys};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use rustix::fs::fstat;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::mask;
use crate::sys::linux::sockets::unix_peer;
use crate::sys::proc;

/// How much of a socket table is read: some ten thousand connections. Reading the tables of a
/// machine with more would take too long.
const MAX_TABLE: u64 = 2 << 20;

/// Descriptions of the sockets with these inodes, from the tables of this process's network
/// namespace. A table lists the sockets of the whole machine: it is read line by line, and only up
/// to the last one wanted. The error is that of a table that could not be read.
pub(super) fn describe(mut wanted: HashSet<u64>) -> (HashMap<u64, String>, Option<io::Error>) {
    let mut sockets = HashMap::with_capacity_and_hasher(wanted.len(), Keys::default());
    let mut error = None;
    for table in &TABLES {
        if wanted.is_empty() {
            break;
        }
        let read = proc::open(&format!("thread-self/net/{}", table.name))
            .and_then(|file| table.find(BufReader::new(file.take(MAX_TABLE)), &mut wanted, &mut sockets));
        // A kernel without a protocol has no table for it.
        error = error.or(read.err().filter(|error| error.kind() != io::ErrorKind::NotFound));
    }
    (sockets, error)
}

/// The protocol of the socket behind a descriptor, for one that is in no table: it is neither bound
/// nor connected, or of another kind.
///
/// `link` is the path of the descriptor below `/proc`.
pub(super) fn protocol(link: &str) -> Option<String> {
    let mut name = [0; 32];
    let path = format!("/proc/{link}");
    let length = rustix::fs::getxattr(path, "system.sockprotoname", &mut name).ok()?;
    let name = name.get(..length)?.split(|byte| *byte == 0).next()?;
    let name = String::from_utf8_lossy(name);
    let name = name.strip_prefix("AF_").unwrap_or(&name);
    Some(match name.strip_suffix("v6").unwrap_or(name) {
        "UNIX-STREAM" | "UNIX" => "Unix".to_owned(),
        "NETLINK" => "netlink".to_owned(),
        name => name.to_owned(),
    })
}

/// The name of a Unix socket: a path, which ends at a zero, or `@` and a name in the abstract
/// namespace, which begins with a zero and can contain more.
pub(super) fn unix_name(bytes: &[u8]) -> Option<String> {
    let text = match bytes {
        [] => return None,
        [0, name @ ..] => format!("@{}", String::from_utf8_lossy(name)),
        path => {
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
            String::from_utf8_lossy(&path[..end]).into_owned()
        }
    };
    Some(mask::text(&text).into_owned())
}

/// The name of the socket that a Unix socket is connected to: that with this inode, behind a
/// descriptor of the process. `None` if that one has no name.
pub(super) fn peer(descriptor: i32, inode: u64) -> io::Result<Option<String>> {
    // The calling thread's table has no copy of it. This one exists for a moment.
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty())?;
    let is_this = fstat(&socket)?.st_ino == inode;
    Ok(unix_peer(socket.as_raw_fd())?.filter(|_| is_this).and_then(|name| unix_name(&name)))
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
    fn find(
        &self,
        mut lines: impl BufRead,
        wanted: &mut HashSet<u64>,
        sockets: &mut HashMap<u64, String>,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        while !wanted.is_empty() && lines.read_until(b'\n', &mut line)? > 0 {
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
        Ok(())
    }
}

const TABLES: [Table; 6] = [
    Table { name: "tcp", inode: 9, describe: tcp_socket },
    Table { name: "tcp6", inode: 9, describe: tcp_socket },
    Table { name: "udp", inode: 9, describe: udp_socket },
    Table { name: "udp6", inode: 9, describe: udp_socket },
    Table { name: "unix", inode: 6, describe: unix_socket },
    Table { name: "netlink", inode: 9, describe: netlink_socket },
];

/// Parses `sl local remote state tx:rx tr:when retrnsmt uid timeout inode`, addresses in
/// hexadecimal.
fn tcp_socket(fields: &[&str]) -> Option<String> {
    let local = address(fields.get(1)?)?;
    let remote = address(fields.get(2)?)?;
    let state = state(u8::from_str_radix(fields.get(3)?, 16).ok()?);
    Some(if remote.port() == 0 {
        format!("TCP {local}, {state}")
    } else {
        format!("TCP {local} -> {remote}, {state}")
    })
}

/// Parses the same fields. UDP has no connections: its state only tells whether the socket has a
/// default peer, from which alone it receives.
fn udp_socket(fields: &[&str]) -> Option<String> {
    let local = address(fields.get(1)?)?;
    let peer = address(fields.get(2)?)?;
    Some(if peer.port() == 0 { format!("UDP {local}") } else { format!("UDP {local}, peer {peer}") })
}

/// Parses `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`, where `Eth` is the protocol and
/// `Pid` the port.
fn netlink_socket(fields: &[&str]) -> Option<String> {
    /// By their numbers in the kernel's `netlink.h`.
    const PROTOCOLS: [&str; 23] = [
        "route",
        "unused",
        "usersock",
        "firewall",
        "sock_diag",
        "nflog",
        "xfrm",
        "selinux",
        "iscsi",
        "audit",
        "fib_lookup",
        "connector",
        "netfilter",
        "ip6_fw",
        "dnrtmsg",
        "kobject_uevent",
        "generic",
        "dm",
        "scsitransport",
        "ecryptfs",
        "rdma",
        "crypto",
        "smc",
    ];
    let number: usize = fields.get(1)?.parse().ok()?;
    let protocol =
        PROTOCOLS.get(number).map_or_else(|| format!("protocol {number}"), |name| (*name).to_owned());
    Some(format!("netlink {protocol}, port {}", fields.get(2)?.parse::<u32>().ok()?))
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

/// How the description of an unnamed Unix socket begins.
pub(super) const UNNAMED: &str = "Unix socket [";

/// Parses `Num RefCount Protocol Flags Type St Inode Path`. Most have no path; a path can contain
/// spaces.
fn unix_socket(fields: &[&str]) -> Option<String> {
    Some(match fields.get(7..) {
        Some(path) if !path.is_empty() => format!("Unix socket {}", mask::text(&path.join(" "))),
        _ => format!("{UNNAMED}{}]", fields.get(6)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::damaged;

    /// Lines of `/proc/net/tcp`, `tcp6`, `unix` and `netlink`.
    const LINES: &str = "\
  0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 100 0 0 10 0
  1: 0000000000000000FFFF00000100007F:0050 00000000000000000000000001000000:A0C6 01 0:0 00:0 0 1000 0 4712 1
0000000000000000: 00000002 00000000 00010000 0001 01 4713 /run/a socket
00000000c879f4a7 15  26494      00000001 0        0        0     2        0        4714    \n";

    proptest! {
        #[test]
        fn damaged_tables_are_parsed_without_panics(
            lines in damaged(LINES.as_bytes()),
            table in proptest::sample::select((0..TABLES.len()).collect::<Vec<_>>()),
        ) {
            let all = HashSet::from_iter([0, 1, 4711, 4712, 4713, 4714]);
            let (mut wanted, mut sockets) = (all.clone(), HashMap::default());
            TABLES[table].find(&lines[..], &mut wanted, &mut sockets).unwrap();
            prop_assert!(sockets.keys().all(|inode| all.contains(inode) && !wanted.contains(inode)));
        }
    }

    #[test]
    fn the_lines_to_damage_have_sockets() {
        let mut sockets = HashMap::default();
        for table in &TABLES {
            table
                .find(LINES.as_bytes(), &mut HashSet::from_iter([4711, 4712, 4713, 4714]), &mut sockets)
                .unwrap();
        }
        assert_eq!(sockets.len(), 4, "{sockets:?}");
        assert_eq!(sockets[&4714], "netlink kobject_uevent, port 26494");
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
}
