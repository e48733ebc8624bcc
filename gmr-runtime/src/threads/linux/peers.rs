//! Which process has the other end of a connection that a thread waits for, if it is on this machine:
//! the kernel's list of sockets has the inode of that end, and the links of a process's descriptors
//! have the inodes of its sockets.
//!
//! To find the process, the descriptors of all others are read, as far as the kernel shows them. So
//! this is done only for a finding, for few connections and within limits. What is not found is not
//! guessed: a server may be on another machine or in another namespace, and its process may not be
//! shown.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::Dir;

use super::sockets;
use crate::sys::hash::HashSet;
use crate::sys::linux::sock_diag::{self, Which};
use crate::sys::procfs::{Directory, Stat};
use crate::sys::sorted_map::SortedMap;
use crate::sys::{proc, sort, thread_ids};
use crate::threads::SocketHolder;

/// The most connections whose other ends are looked up.
const MAX_CONNECTIONS: usize = 8;

/// How long the descriptors of other processes may be read, and how many. A link takes a microsecond.
const WITHIN: Duration = Duration::from_millis(100);
const MAX_DESCRIPTORS: usize = 65_536;

/// After how many refusals of the kernel no other process is asked for any more: a security module
/// may log each of them.
const MAX_REFUSALS: usize = 4;
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// A connection that this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Tcp { local: SocketAddr, peer: SocketAddr },
    Unix { inode: u64 },
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    /// Of its socket; of the listening one if it has not been accepted.
    inode: u64,
    is_accepted: bool,
}

/// The processes that have the other ends of these connections, which are described as in the
/// Threads section. Those that are not known are missing.
pub(crate) fn peers<'a>(connections: &[&'a str]) -> Vec<(&'a str, SocketHolder)> {
    // In the `/proc` of another namespace, ids are those of other processes.
    if IS_REFUSED.load(Ordering::Relaxed) || thread_ids::depth() != 0 {
        return Vec::new();
    }
    let known = connections.iter().filter_map(|text| Some((*text, parse(text)?)));
    let known: Vec<(&str, Connection)> = known.take(MAX_CONNECTIONS).collect();
    let ends = ends(&known.iter().map(|(_, connection)| *connection).collect::<Vec<_>>());
    let inodes = ends.iter().flatten().map(|end| end.inode).collect();
    let Holders { of_inodes, are_all } = holders(&inodes, Instant::now() + WITHIN);
    let named = known.iter().zip(ends).filter_map(|((text, _), end)| {
        let end = end?;
        let mut holder = holder(of_inodes.get(&end.inode)?, end.is_accepted)?;
        holder.is_this_process &= are_all;
        Some((*text, holder))
    });
    named.collect()
}

/// Parses `TCP 127.0.0.1:40112 -> 127.0.0.1:5432, established` and `Unix socket [4711]`, as
/// [`sockets::in_words`] writes them.
fn parse(text: &str) -> Option<Connection> {
    if let Some(text) = text.strip_prefix("TCP ") {
        let (local, rest) = text.split_once(" -> ")?;
        let (peer, _) = rest.split_once(", ")?;
        return Some(Connection::Tcp { local: local.parse().ok()?, peer: peer.parse().ok()? });
    }
    let inode = text.strip_prefix(sockets::UNNAMED)?.split_once(']')?.0.parse().ok()?;
    Some(Connection::Unix { inode })
}

/// The other ends of these connections.
fn ends(connections: &[Connection]) -> Vec<Option<End>> {
    /// Of the kernel's `tcp_states.h`.
    const ESTABLISHED: u8 = 1;
    const LISTENING: u8 = 10;
    let mut found: Vec<Option<End>> = connections
        .iter()
        .map(|connection| match connection {
            Connection::Unix { inode } => sock_diag::unix_peer(*inode)
                .filter(|inode| *inode != 0)
                .map(|inode| End { inode, is_accepted: true }),
            Connection::Tcp { .. } => None,
        })
        .collect();
    if !connections.iter().any(|connection| matches!(connection, Connection::Tcp { .. })) {
        return found;
    }
    let mut waiting = vec![false; connections.len()];
    let mut listening = Vec::new();
    sockets::each_tcp(Which::Open, sockets::MAX_TABLE, |socket| {
        if socket.state == LISTENING {
            listening.push((socket.local, socket.inode));
            return;
        }
        for (index, connection) in connections.iter().enumerate() {
            if *connection != (Connection::Tcp { local: socket.peer, peer: socket.local }) {
                continue;
            }
            match socket.inode {
                // What has been closed has no descriptor either.
                0 => waiting[index] = socket.state == ESTABLISHED,
                inode => found[index] = Some(End { inode, is_accepted: true }),
            }
        }
    });
    for (index, connection) in connections.iter().enumerate().filter(|(index, _)| waiting[*index]) {
        let Connection::Tcp { peer, .. } = connection else { continue };
        let mut accepts = listening.iter().filter(|(local, _)| {
            local.port() == peer.port() && (local.ip() == peer.ip() || local.ip().is_unspecified())
        });
        // Several sockets can listen at an address, and only one of them has this connection.
        if let (Some((_, inode)), None) = (accepts.next(), accepts.next()) {
            found[index] = Some(End { inode: *inode, is_accepted: false });
        }
    }
    found
}

/// The processes that hold sockets.
struct Holders {
    /// In ascending order.
    of_inodes: SortedMap<u64, Vec<u32>>,
    /// Whether no process was left out that the kernel may show.
    are_all: bool,
}

/// The processes that hold sockets with these inodes, as far as they are shown and as there is time.
fn holders(wanted: &HashSet<u64>, until: Instant) -> Holders {
    let mut of_inodes = SortedMap::<u64, Vec<u32>>::new();
    if wanted.is_empty() {
        return Holders { of_inodes, are_all: true };
    }
    let (mut read, mut refusals, mut are_all) = (0, 0, true);
    for pid in candidates() {
        let mut inodes = HashSet::default();
        let mut add = |inode: u64| {
            if wanted.contains(&inode) {
                inodes.insert(inode);
            }
        };
        match links(pid, until, &mut read, &mut add) {
            Ok(()) => inodes.into_iter().for_each(|inode| of_inodes.entry(inode).push(pid)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => refusals += 1,
            // It has ended.
            Err(_) => {}
        }
        if refusals == MAX_REFUSALS {
            IS_REFUSED.store(true, Ordering::Relaxed);
            break;
        }
        if read >= MAX_DESCRIPTORS || Instant::now() > until {
            are_all = false;
            break;
        }
    }
    Holders { of_inodes, are_all: are_all && refusals == 0 }
}

/// The processes whose descriptors the kernel may show: those of this user, and then, for root, those
/// of others.
fn candidates() -> Vec<u32> {
    let own = rustix::process::geteuid().as_raw();
    let owned = proc::ids("").unwrap_or_default().into_iter().filter_map(|pid| {
        let owner =
            proc::open_directory(&pid.to_string()).ok().map(std::fs::File::from)?.metadata().ok()?.uid();
        (owner == own || own == 0).then_some((owner != own, pid))
    });
    let mut owned: Vec<(bool, u32)> = owned.collect();
    sort::all(&mut owned);
    owned.into_iter().map(|(_, pid)| pid).collect()
}

/// Calls `each` with the inodes of a process's sockets.
fn links(pid: u32, until: Instant, read: &mut usize, each: &mut dyn FnMut(u64)) -> std::io::Result<()> {
    let path = format!("{pid}/fd");
    let mut directory = Directory::open(&path)?;
    for entry in Dir::new(proc::open_directory(&path)?)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().ok().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        *read += 1;
        let link = directory.link(name);
        if let Some(inode) = link.ok().and_then(|link| super::open::inode(&link)) {
            each(inode);
        }
        if *read >= MAX_DESCRIPTORS || Instant::now() > until {
            break;
        }
    }
    Ok(())
}

/// Describes the processes with these ids, which share a socket. `None` if there are none, or if the
/// first one has ended.
fn holder(pids: &[u32], is_accepted: bool) -> Option<SocketHolder> {
    let (first, others) = pids.split_first()?;
    let is_this_process = *first == std::process::id() && others.is_empty();
    let process = if is_this_process {
        "this process".to_owned()
    } else {
        let name = Stat::read(&first.to_string()).ok()?.name;
        format!("process {first} ({})", gmr_mask::text(&name))
    };
    // Forked processes share their sockets.
    let others = match others.len() {
        0 => String::new(),
        1 => " and one other".to_owned(),
        others => format!(" and {others} others"),
    };
    let accepted = match (is_accepted, pids.len()) {
        (true, _) => "",
        (false, 1) => ", which has not accepted the connection",
        (false, _) => ", which have not accepted the connection",
    };
    Some(SocketHolder { words: format!("{process}{others}{accepted}"), is_this_process })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn connections_are_parsed_as_they_are_written() {
        let connection = |local: &str, peer: &str| {
            Some(Connection::Tcp { local: local.parse().unwrap(), peer: peer.parse().unwrap() })
        };
        let parsed = parse("TCP 127.0.0.1:40112 -> 127.0.0.1:5432, established");
        assert_eq!(parsed, connection("127.0.0.1:40112", "127.0.0.1:5432"));
        assert_eq!(parse("TCP [::1]:9 -> [::1]:80, close wait"), connection("[::1]:9", "[::1]:80"));
        assert_eq!(parse("Unix socket [4711] -> /run/shop.sock"), Some(Connection::Unix { inode: 4711 }));
        assert_eq!(parse("Unix socket [4711]"), Some(Connection::Unix { inode: 4711 }));
        for other in ["TCP 127.0.0.1:80, listening", "UDP 127.0.0.1:9, peer 127.0.0.1:53", "pipe:[1]", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn the_other_ends_are_found_also_before_they_are_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let client = TcpStream::connect(peer).unwrap();
        let connection = Connection::Tcp { local: client.local_addr().unwrap(), peer };
        let inode = |socket: &dyn std::os::fd::AsFd| rustix::fs::fstat(socket).unwrap().st_ino;
        let ends = || ends(&[connection])[0];
        assert_eq!(ends(), Some(End { inode: inode(&listener), is_accepted: false }));
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(ends(), Some(End { inode: inode(&accepted), is_accepted: true }));
        let until = Instant::now() + Duration::from_mins(1);
        let holders = holders(&HashSet::from_iter([inode(&accepted)]), until);
        assert_eq!(holders.of_inodes.get(&inode(&accepted)), Some(&vec![std::process::id()]));
        let in_no_time = super::holders(&HashSet::from_iter([inode(&accepted)]), Instant::now());
        assert!(!in_no_time.are_all);
        drop(accepted);
        assert_eq!(ends(), None);
        let (one, other) = UnixStream::pair().unwrap();
        if let Some(end) = super::ends(&[Connection::Unix { inode: inode(&one) }])[0] {
            assert_eq!(end, End { inode: inode(&other), is_accepted: true });
        }
    }

    #[test]
    fn processes_are_named_with_their_ids() {
        let own = std::process::id();
        let only = holder(&[own], true).unwrap();
        assert_eq!(only, SocketHolder { words: "this process".to_owned(), is_this_process: true });
        let SocketHolder { words, is_this_process } = holder(&[own, 7, 8], false).unwrap();
        assert!(!is_this_process);
        assert!(words.starts_with(&format!("process {own} (")), "{words}");
        assert!(words.ends_with(") and 2 others, which have not accepted the connection"), "{words}");
        assert_eq!(holder(&[u32::MAX], true), None, "it has ended");
        assert_eq!(holder(&[], true), None);
    }
}
