//! What a socket is: its protocol and endpoints, from the tables in `/proc/self/net`, or as the
//! kernel lists them on request.

use crate::sys::hash::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;

use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::sys::linux::sandbox;
use crate::sys::linux::sock_diag::{self, Family, TcpSocket, Which};
use crate::sys::linux::sockets::unix_peer;
use crate::sys::proc;

/// How much of a socket table is read: some ten thousand connections. Reading the tables of a
/// machine with more would take too long.
pub(super) const MAX_TABLE: u64 = 2 << 20;

/// A socket, as the kernel's tables show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Socket {
    /// `TCP`, `UDP`, `Unix`, `netlink`.
    pub(crate) protocol: &'static str,
    /// Its address or name; of a Unix socket without a name, `[inode]`.
    pub(crate) local: String,
    /// Whether `local` is the name of a Unix socket, as opposed to its inode.
    pub(crate) is_named: bool,
    /// The port of an internet socket.
    pub(crate) port: Option<u16>,
    pub(crate) peer: Option<String>,
    pub(crate) state: Option<&'static str>,
    /// Bytes; of a listening TCP socket, connections.
    pub(crate) receive_queue: u64,
    pub(crate) send_queue: u64,
    /// How many connections may wait to be accepted. Only the list on request has it.
    pub(crate) backlog: Option<u64>,
}

pub(crate) const LISTENING: &str = "listening";

/// What was found of sockets.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) sockets: HashMap<u64, Socket>,
    /// The protocols of those that are in no table, if they are known.
    pub(crate) protocols: HashMap<u64, String>,
    /// Why a table could not be read.
    pub(crate) error: Option<io::Error>,
    /// Why the protocol of a socket is not known.
    pub(crate) protocol_error: Option<io::Error>,
    /// Whether a table is longer than what is read of it.
    pub(crate) is_cut: bool,
}

/// Looks up sockets by their inodes in the tables of this process's network namespace. A table
/// lists the sockets of all processes there. It is read only if it can have one of these, which
/// their protocols tell, and only up to the last one wanted.
///
/// Each socket comes with a descriptor of it. `link` returns the path of a descriptor below
/// `/proc`.
pub(crate) fn find<D: Copy>(wanted: &[(u64, D)], link: impl Fn(D) -> String) -> Found {
    let mut found = Found::default();
    let mut left: HashSet<u64> = wanted.iter().map(|(inode, _)| *inode).collect();
    let mut unread: Vec<&Table> = TABLES.iter().collect();
    for &(inode, descriptor) in wanted {
        if !left.contains(&inode) {
            continue;
        }
        let link = link(descriptor);
        let protocol = kernels_protocol(&link);
        let has_gone =
            |error: &io::Error| error.kind() == io::ErrorKind::NotFound && proc::link(&link).is_err();
        if protocol.as_ref().is_err_and(has_gone) {
            left.remove(&inode);
            continue;
        }
        let is_meant = |table: &&Table| match &protocol {
            Ok(protocol) => table.has(protocol),
            Err(_) => true,
        };
        for table in unread.extract_if(.., |table| is_meant(table)) {
            if !left.is_empty() {
                table.read(&mut left, &mut found);
            }
        }
        if left.remove(&inode) {
            match protocol {
                Ok(protocol) => drop(found.protocols.insert(inode, protocol_in_words(&protocol))),
                Err(error) => found.protocol_error = found.protocol_error.or(Some(error)),
            }
        }
    }
    found
}

/// `TCP 127.0.0.1:5432 -> 127.0.0.1:40112, established`
pub(super) fn in_words(socket: &Socket) -> String {
    let Socket { protocol, local, peer, state, .. } = socket;
    match (*protocol, peer, state) {
        (TCP, Some(peer), Some(state)) => format!("TCP {local} -> {peer}, {state}"),
        (TCP, None, Some(state)) => format!("TCP {local}, {state}"),
        (UDP, Some(peer), _) => format!("UDP {local}, peer {peer}"),
        (UNIX, ..) => format!("Unix socket {local}"),
        _ => format!("{protocol} {local}"),
    }
}

pub(super) const TCP: &str = "TCP";
const UDP: &str = "UDP";
const UNIX: &str = "Unix";
const NETLINK: &str = "netlink";

/// The kernel's name of a socket's protocol: `TCPv6`, `UNIX-STREAM`.
fn kernels_protocol(link: &str) -> io::Result<String> {
    let mut name = [0; 32];
    let path = format!("/proc/{link}");
    let length = rustix::fs::getxattr(path, "system.sockprotoname", &mut name)?;
    let name = name[..length.min(name.len())].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The protocol as [`Socket`] has it.
fn protocol_in_words(kernels: &str) -> String {
    let name = kernels.strip_prefix("AF_").unwrap_or(kernels);
    match name.strip_suffix("v6").unwrap_or(name) {
        "UNIX-STREAM" | "UNIX" => UNIX.to_owned(),
        "NETLINK" => NETLINK.to_owned(),
        name => name.to_owned(),
    }
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
    Some(gmr_mask::text(&text).into_owned())
}

/// The name of the socket that a Unix socket is connected to: that with this inode, behind a
/// descriptor of the process. `None` if that one has no name.
pub(super) fn peer(descriptor: i32, inode: u64) -> io::Result<Option<String>> {
    if sandbox::may_end_the_process() {
        return Err(Errno::PERM.into());
    }
    // The calling thread's table has no copy of it. This one exists for a moment.
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty())?;
    let is_this = fstat(&socket)?.st_ino == inode;
    Ok(unix_peer(socket.as_raw_fd())?.filter(|_| is_this).and_then(|name| unix_name(&name)))
}

/// One of the kernel's socket tables.
struct Table {
    /// That of its file.
    name: &'static str,
    /// The protocols of its sockets, by the kernel's names.
    protocols: &'static [&'static str],
    /// The index of the field that holds the inode.
    inode: usize,
    parse: fn(&[&str]) -> Option<Socket>,
    /// If the kernel lists them on request, too.
    family: Option<Family>,
}

impl Table {
    fn has(&self, protocol: &str) -> bool {
        self.protocols.contains(&protocol)
    }

    /// Takes the sockets of this table out of `wanted`, and adds them to what was found.
    fn read(&self, wanted: &mut HashSet<u64>, found: &mut Found) {
        if let Some(is_cut) = self.family.and_then(|family| list(family, wanted, &mut found.sockets)) {
            found.is_cut |= is_cut;
            return;
        }
        let read = proc::open(&format!("thread-self/net/{}", self.name)).and_then(|file| {
            let mut lines = BufReader::new(file.take(MAX_TABLE));
            self.find(&mut lines, wanted, &mut found.sockets)?;
            Ok(lines.get_ref().limit() == 0)
        });
        match read {
            Ok(is_cut) => found.is_cut |= is_cut,
            // A kernel without a protocol has no table for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => found.error = found.error.take().or(Some(error)),
        }
    }

    /// Takes the sockets of this table out of `wanted`, and adds them to `sockets`.
    fn find(
        &self,
        mut lines: impl BufRead,
        wanted: &mut HashSet<u64>,
        sockets: &mut HashMap<u64, Socket>,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        while !wanted.is_empty() && lines.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let fields = text.split_ascii_whitespace();
            // The heading has no inode.
            let inode = fields.clone().nth(self.inode).and_then(|inode| inode.parse().ok());
            if let Some(inode) = inode.filter(|inode| wanted.remove(inode)) {
                let fields: Vec<&str> = fields.collect();
                sockets.extend((self.parse)(&fields).map(|socket| (inode, socket)));
            }
            line.clear();
        }
        Ok(())
    }
}

/// Those that take longest to read come last.
const TABLES: [Table; 6] = [
    Table { name: "unix", protocols: &["UNIX", "UNIX-STREAM"], inode: 6, parse: unix_socket, family: None },
    Table { name: "netlink", protocols: &["NETLINK"], inode: 9, parse: netlink_socket, family: None },
    Table { name: "udp", protocols: &["UDP"], inode: 9, parse: udp_socket, family: None },
    Table { name: "udp6", protocols: &["UDPv6"], inode: 9, parse: udp_socket, family: None },
    Table { name: "tcp", protocols: &["TCP"], inode: 9, parse: tcp_socket, family: Some(Family::V4) },
    Table { name: "tcp6", protocols: &["TCPv6"], inode: 9, parse: tcp_socket, family: Some(Family::V6) },
];

/// Takes TCP sockets out of `wanted`, and adds them to `sockets`, as the kernel lists them on
/// request. `None` if it does not. Otherwise, whether the list is longer than what is read of it.
fn list(family: Family, wanted: &mut HashSet<u64>, sockets: &mut HashMap<u64, Socket>) -> Option<bool> {
    sock_diag::tcp_sockets(family, Which::Open, |socket| {
        if wanted.remove(&socket.inode) {
            sockets.insert(socket.inode, listed(&socket));
        }
        if wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

fn listed(socket: &TcpSocket) -> Socket {
    let &TcpSocket { local, peer, state, receive_queue, send_queue, .. } = socket;
    let socket = Socket {
        protocol: TCP,
        local: local.to_string(),
        is_named: true,
        port: Some(local.port()),
        peer: (peer.port() != 0).then(|| peer.to_string()),
        state: None,
        receive_queue,
        send_queue,
        backlog: None,
    };
    let socket = in_state(state, socket);
    Socket { backlog: (socket.state == Some(LISTENING)).then_some(send_queue), ..socket }
}

/// A TCP socket in the state with this number. The kernel's lengths of the queues are differences
/// of sequence numbers, in which the beginning and the end of a connection count like a byte.
fn in_state(number: u8, mut socket: Socket) -> Socket {
    let state = state(number);
    if matches!(state, "close wait" | "last ack" | "closing") {
        socket.receive_queue = socket.receive_queue.saturating_sub(1);
    }
    socket.send_queue = match state {
        // Its limit, in one of the lists.
        LISTENING => 0,
        "syn sent" | "syn received" | "fin wait 1" | "last ack" | "closing" => {
            socket.send_queue.saturating_sub(1)
        }
        _ => socket.send_queue,
    };
    Socket { state: Some(state), ..socket }
}

/// Parses `sl local remote state tx:rx tr:when retrnsmt uid timeout inode`, addresses and queues in
/// hexadecimal.
fn tcp_socket(fields: &[&str]) -> Option<Socket> {
    Some(in_state(u8::from_str_radix(fields.get(3)?, 16).ok()?, internet_socket(TCP, fields)?))
}

/// Parses the same fields. UDP has no connections: its state only tells whether the socket has a
/// default peer, from which alone it receives.
fn udp_socket(fields: &[&str]) -> Option<Socket> {
    internet_socket(UDP, fields)
}

fn internet_socket(protocol: &'static str, fields: &[&str]) -> Option<Socket> {
    let local = address(fields.get(1)?)?;
    let peer = address(fields.get(2)?)?;
    let queue = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
    let (send, receive) = fields.get(4).and_then(|queues| queues.split_once(':')).unwrap_or_default();
    Some(Socket {
        protocol,
        local: local.to_string(),
        is_named: true,
        port: Some(local.port()),
        peer: (peer.port() != 0).then(|| peer.to_string()),
        state: None,
        receive_queue: queue(receive),
        send_queue: queue(send),
        backlog: None,
    })
}

/// Parses `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`, where `Eth` is the protocol and
/// `Pid` the port.
fn netlink_socket(fields: &[&str]) -> Option<Socket> {
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
    Some(Socket {
        protocol: NETLINK,
        local: format!("{protocol}, port {}", fields.get(2)?.parse::<u32>().ok()?),
        is_named: true,
        port: None,
        peer: None,
        state: None,
        receive_queue: fields.get(4).and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
        send_queue: fields.get(5).and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
        backlog: None,
    })
}

/// The same fields, as the list on request has them. The limit of a queue is not in them.
fn tcp_entry(line: &str) -> Option<TcpSocket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (send, receive) = fields.get(4)?.split_once(':')?;
    Some(TcpSocket {
        local: address(fields.get(1)?)?,
        peer: address(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        receive_queue: u64::from_str_radix(receive, 16).ok()?,
        send_queue: u64::from_str_radix(send, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// Calls `each` with the TCP sockets of the network namespace, on request or from the tables, of which
/// no more than `max` bytes are read.
pub(super) fn each_tcp(which: Which, max: u64, mut each: impl FnMut(&TcpSocket)) {
    for (family, table) in [(Family::V4, "tcp"), (Family::V6, "tcp6")] {
        let asked = sock_diag::tcp_sockets(family, which, |socket| {
            each(&socket);
            ControlFlow::Continue(())
        });
        if asked.is_some() {
            continue;
        }
        let Ok(file) = proc::open(&format!("thread-self/net/{table}")) else { continue };
        // The heading is none.
        let lines = BufReader::new(file.take(max)).lines().map_while(Result::ok);
        lines.filter_map(|line| tcp_entry(&line)).for_each(|socket| each(&socket));
    }
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
        LISTENING,
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
/// spaces. The state is that of the socket layer, and a flag tells which ones listen.
fn unix_socket(fields: &[&str]) -> Option<Socket> {
    const LISTENS: u64 = 0x1_0000;
    let flags = u64::from_str_radix(fields.get(3)?, 16).ok()?;
    let name = fields.get(7..).filter(|path| !path.is_empty());
    Some(Socket {
        protocol: UNIX,
        local: name
            .map_or_else(|| format!("[{}]", fields[6]), |path| gmr_mask::text(&path.join(" ")).into_owned()),
        is_named: name.is_some(),
        port: None,
        peer: None,
        state: match fields.get(5)? {
            _ if flags & LISTENS != 0 => Some(LISTENING),
            &"03" => Some("connected"),
            _ => None,
        },
        receive_queue: 0,
        send_queue: 0,
        backlog: None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use proptest::prelude::*;

    use super::*;
    use crate::sys::mutation::damaged;

    /// Lines of `/proc/net/tcp`, `tcp6`, `unix` and `netlink`.
    const LINES: &str = "\
  0: 0100007F:1538 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 4711 1 0000 100 0 0 10 0
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
        assert_eq!(in_words(&sockets[&4714]), "netlink kobject_uevent, port 26494");
        let mut of_tcp = HashMap::default();
        let tcp = TABLES.iter().find(|table| table.name == "tcp").unwrap();
        tcp.find(LINES.as_bytes(), &mut HashSet::from_iter([4711]), &mut of_tcp).unwrap();
        assert_eq!((of_tcp[&4711].state, of_tcp[&4711].receive_queue), (Some(LISTENING), 3));
        assert_eq!((sockets[&4713].state, sockets[&4713].is_named), (Some(LISTENING), true));
    }

    #[test]
    fn the_ends_of_a_connection_are_no_bytes() {
        let socket = |state: &str, queues: &str| {
            let line = format!("0: 0100007F:1538 0100007F:A0C6 {state} {queues} 00:0 0 1000 0 4712 1");
            let fields: Vec<&str> = line.split(' ').collect();
            let socket = tcp_socket(&fields).unwrap();
            (socket.state.unwrap(), socket.send_queue, socket.receive_queue)
        };
        assert_eq!(socket("01", "00000002:00000001"), ("established", 2, 1));
        assert_eq!(socket("08", "00000002:00000001"), ("close wait", 2, 0));
        assert_eq!(socket("08", "00000000:00000000"), ("close wait", 0, 0), "the end was read");
        assert_eq!(socket("09", "00000002:00000008"), ("last ack", 1, 7));
        assert_eq!(socket("02", "00000001:00000000"), ("syn sent", 0, 0));
        assert_eq!(socket("04", "00000005:00000003"), ("fin wait 1", 4, 3));
    }

    /// The kernel lists the same on request and in the table.
    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn both_lists_of_tcp_sockets_agree() {
        for (address, name) in [("127.0.0.1:0", "tcp"), ("[::1]:0", "tcp6")] {
            let Ok(listener) = TcpListener::bind(address) else {
                eprintln!("skipped: there is no {address} here");
                continue;
            };
            let connect = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let clients = [connect(), connect(), connect()];
            // One that its peer has closed, one with bytes to read, and one that was not accepted.
            drop(listener.accept().unwrap());
            let (mut server, _) = listener.accept().unwrap();
            server.write_all(b"seven b").unwrap();
            let sockets = [&listener as &dyn AsFd, &server, &clients[0], &clients[1], &clients[2]];
            let inodes = sockets.map(|socket| fstat(socket).unwrap().st_ino);
            let table = TABLES.iter().find(|table| table.name == name).unwrap();
            let mut of_request = HashMap::default();
            let Some(_) = list(table.family.unwrap(), &mut HashSet::from_iter(inodes), &mut of_request)
            else {
                return eprintln!("skipped: the kernel does not list them on request");
            };
            let file = BufReader::new(proc::open(&format!("thread-self/net/{name}")).unwrap());
            let mut of_table = HashMap::default();
            table.find(file, &mut HashSet::from_iter(inodes), &mut of_table).unwrap();
            // Only one of them has this.
            let backlog = of_request.get_mut(&inodes[0]).and_then(|socket| socket.backlog.take());
            assert!(backlog.is_some_and(|backlog| backlog > 0), "{backlog:?}");
            assert_eq!(of_request, of_table);
            let shown = inodes.map(|inode| (of_table[&inode].state.unwrap(), of_table[&inode].receive_queue));
            let established = |queue| ("established", queue);
            let closed = ("close wait", 0);
            assert_eq!(shown, [(LISTENING, 1), established(0), closed, established(7), established(0)]);
        }
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
    fn lines_of_a_table_are_as_on_request() {
        let line = "   1: 0100007F:9C40 0100007F:1538 06 00000000:00000000 03:00000F6E 00000000     0        0 0 3 0";
        let socket = tcp_entry(line).unwrap();
        assert_eq!((socket.local, socket.state), ("127.0.0.1:40000".parse().unwrap(), 6));
        assert_eq!((socket.peer, socket.inode), ("127.0.0.1:5432".parse().unwrap(), 0));
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(tcp_entry(heading), None);
    }
}
