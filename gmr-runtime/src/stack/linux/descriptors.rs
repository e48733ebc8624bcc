//! What a descriptor is: a path, a pipe, a socket and whom it connects. From `/proc/self/fd` and, for sockets, `/proc/self/net`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::mask;
use crate::stack::Task;

/// How much of a table of sockets is read. A machine with more connections than fit in here (some ten thousand) would be asked for too long.
const LARGEST_TABLE: u64 = 2 << 20;

/// Looks descriptors up, each once.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// By inode; read when the first socket is met.
    sockets: Option<HashMap<u64, String>>,
}

impl Descriptors {
    /// Says of each thread that waits on a descriptor what that is.
    pub(super) fn describe(&mut self, tasks: &mut [Task]) {
        let mut known = HashMap::new();
        for waiting in tasks.iter_mut().filter_map(|task| task.waiting.as_mut()) {
            if let Some(descriptor) = waiting.descriptor {
                let target = known.entry(descriptor).or_insert_with(|| self.target(descriptor));
                waiting.target.clone_from(target);
            }
        }
    }

    fn target(&mut self, descriptor: i32) -> Option<String> {
        let link = fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse().ok());
        let socket =
            inode.and_then(|inode: u64| self.sockets.get_or_insert_with(sockets).get(&inode).cloned());
        Some(socket.unwrap_or_else(|| mask::text(&link).into_owned()))
    }
}

/// Every socket that this process's network namespace tells of, by inode.
fn sockets() -> HashMap<u64, String> {
    let mut sockets = HashMap::new();
    for (table, protocol) in [("tcp", "TCP"), ("tcp6", "TCP"), ("udp", "UDP"), ("udp6", "UDP")] {
        sockets.extend(lines(table).iter().filter_map(|line| internet_socket(line, protocol)));
    }
    sockets.extend(lines("unix").iter().filter_map(|line| unix_socket(line)));
    sockets
}

fn lines(table: &str) -> Vec<String> {
    let Ok(file) = File::open(format!("/proc/self/net/{table}")) else { return Vec::new() };
    BufReader::new(file.take(LARGEST_TABLE)).lines().skip(1).map_while(Result::ok).collect()
}

/// `sl local remote state tx:rx tr:when retrnsmt uid timeout inode`, addresses in hexadecimal.
fn internet_socket(line: &str, protocol: &str) -> Option<(u64, String)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let local = address(fields.get(1)?)?;
    let remote = address(fields.get(2)?)?;
    let state = state(u8::from_str_radix(fields.get(3)?, 16).ok()?);
    let inode = fields.get(9)?.parse().ok()?;
    let text = if remote.port() == 0 {
        format!("{protocol} {local}, {state}")
    } else {
        format!("{protocol} {local} -> {remote}, {state}")
    };
    Some((inode, text))
}

/// `0100007F:1538`: words of the address in the machine's order, then the port.
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

/// As the kernel's `tcp_states.h` numbers them.
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

/// `Num RefCount Protocol Flags Type St Inode Path`; most have no path.
fn unix_socket(line: &str) -> Option<(u64, String)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let inode = fields.get(6)?.parse().ok()?;
    let text = match fields.get(7) {
        Some(path) => format!("Unix socket {path}"),
        None => format!("Unix socket [{inode}]"),
    };
    Some((inode, text))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_read_as_people_write_them() {
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
        let mut descriptors = Descriptors::default();
        let connected = descriptors.target(stream.as_raw_fd()).unwrap();
        assert_eq!(connected, format!("TCP 127.0.0.1:{own} -> 127.0.0.1:{port}, established"));
        let listening = descriptors.target(listener.as_raw_fd()).unwrap();
        assert_eq!(listening, format!("TCP 127.0.0.1:{port}, listening"));
    }

    #[test]
    fn a_descriptor_that_is_closed_is_nothing() {
        assert_eq!(Descriptors::default().target(-1), None);
    }
}
