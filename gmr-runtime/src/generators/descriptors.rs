//! Descriptors: what the process has open, counted by kind, with its sockets in groups and its
//! files in a list of limited length. What is read is in `threads`.

use std::cmp::Reverse;

use crate::model::{self, Content, DescriptorKind, Descriptors, SocketGroup};
use crate::sys::sorted_map::SortedMap;
use crate::sys::{proc, procfs, sort};
use crate::threads::linux::{LISTENING, Open, OpenDescriptors, OpenFile, OpenSocket, open_list};

/// How many groups of sockets, and how many files, are listed.
const MAX_LISTED: usize = 50;

pub(super) fn generate() -> Content {
    match open_list() {
        Ok(open) => Content::Descriptors(Box::new(describe(open))),
        Err(error) => Content::Error(format!("could not list descriptors: {error}")),
    }
}

fn describe(mut open: OpenDescriptors) -> Descriptors {
    let mut kinds: SortedMap<String, u64> = SortedMap::new();
    for one in &open.list {
        *kinds.entry(kind(one)) += 1;
    }
    let kinds = kinds.into_iter().map(|(name, count)| DescriptorKind { name, count });
    let mut kinds: Vec<DescriptorKind> = kinds.collect();
    sort::by_key(&mut kinds, |kind| Reverse(kind.count));
    let (sockets, more_sockets) = sockets(&open.list);
    let (files, more_files) = files(&mut open);
    let read = open.list.len() as u64;
    let mut notes: Vec<String> =
        open.unread.iter().map(|(what, error)| format!("could not read {what}: {error}")).collect();
    if open.is_cut {
        notes.push(format!("only the lowest {read} descriptors were read"));
    }
    let limits =
        procfs::limits().inspect_err(|error| notes.push(format!("could not read the limit: {error}")));
    let limit = limits.unwrap_or_default().into_iter().find(|limit| limit.name == procfs::OPEN_FILES);
    let limit = limit.and_then(|limit| limit.soft);
    let highest = open.list.last().filter(|_| !open.is_cut).map(|last| last.number);
    let ephemeral_ports = open.ports();
    let listen_overflows = sockets.iter().any(is_full).then(listen_overflows).flatten();
    Descriptors {
        open: open.count,
        read,
        limit,
        kinds,
        sockets,
        more_sockets,
        files,
        more_files,
        notes,
        highest,
        listen_overflows,
        ephemeral_ports,
    }
}

/// Whether as many connections wait to be accepted as may: one more than the limit.
fn is_full(group: &SocketGroup) -> bool {
    group.accept_queue.zip(group.accept_queue_max).is_some_and(|(queue, max)| queue > max)
}

/// The count of overflows in this network namespace. `None` if it can't be read.
fn listen_overflows() -> Option<u64> {
    counter(&proc::read_text("thread-self/net/netstat").ok()?, "TcpExt:", "ListenOverflows")
}

/// A counter in pairs of lines: the names, then the values, both after the name of their group.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let index = names.split_ascii_whitespace().position(|one| one == name)?;
    values.split_ascii_whitespace().nth(index)?.parse().ok()
}

/// The kind, in the words of proc(5) where it has some.
fn kind(open: &Open) -> String {
    if open.is_gmrs {
        return "gmr's own".to_owned();
    }
    if let Some(socket) = &open.socket {
        return match &socket.protocol {
            Some(protocol) => format!("{protocol} socket"),
            None => "socket".to_owned(),
        };
    }
    let link = open.link.as_str();
    if let Some(name) = link.strip_prefix("anon_inode:") {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        return if name == "eventpoll" { "epoll" } else { name }.to_owned();
    }
    match link.split_once(":[") {
        Some((kind, _)) if !kind.contains('/') => kind.to_owned(),
        _ if link.starts_with(MEMFD) => "memfd".to_owned(),
        _ if is_device(link) => "device".to_owned(),
        _ => FILE.to_owned(),
    }
}

const FILE: &str = "file";

/// How the link of memory from `memfd_create(2)` begins. It always ends with ` (deleted)`.
const MEMFD: &str = "/memfd:";

fn is_device(link: &str) -> bool {
    link.starts_with("/dev/") && !link.starts_with("/dev/shm/")
}

/// What the sockets of a group have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Common<'a> {
    protocol: &'a str,
    local: Option<&'a str>,
    peer: Option<&'a str>,
    state: Option<&'static str>,
}

/// Where connections are accepted: protocols and ports.
type Listening<'a> = Vec<(&'a str, Option<u16>)>;

impl<'a> Common<'a> {
    fn of(socket: &'a OpenSocket, listening: &Listening<'a>) -> Self {
        let OpenSocket { protocol, listed } = socket;
        let protocol = protocol.as_deref().unwrap_or("unknown");
        let common = Self { protocol, local: None, peer: None, state: None };
        let Some(listed) = listed else { return common };
        let common = Self { state: listed.state, ..common };
        let place = (listed.protocol, listed.port);
        let was_accepted = listed.port.is_some() && listening.binary_search(&place).is_ok();
        match listed.peer.as_deref() {
            Some(peer) if !was_accepted => Self { peer: Some(peer), ..common },
            _ => Self { local: listed.is_named.then_some(listed.local.as_str()), ..common },
        }
    }
}

/// The groups of sockets, and how many sockets are in groups beyond those.
fn sockets(list: &[Open]) -> (Vec<SocketGroup>, u64) {
    let listed = list.iter().filter_map(|open| open.socket.as_ref()?.listed.as_ref());
    let mut listening: Listening<'_> = listed
        .filter(|listed| listed.state == Some(LISTENING))
        .map(|listed| (listed.protocol, listed.port))
        .collect();
    sort::all(&mut listening);
    let open_sockets = list.iter().filter_map(|open| Some((open, open.socket.as_ref()?)));
    let mut sockets: Vec<(Common<'_>, &Open)> =
        open_sockets.map(|(open, socket)| (Common::of(socket, &listening), open)).collect();
    sort::by_key(&mut sockets, |(common, _)| *common);
    let mut groups: Vec<_> = sockets.chunk_by(|(one, _), (next, _)| one == next).collect();
    sort::by_key(&mut groups, |group| Reverse(group.len()));
    let rest = groups.split_off(groups.len().min(MAX_LISTED));
    (groups.into_iter().map(group).collect(), rest.iter().map(|group| group.len() as u64).sum())
}

/// A group of sockets, the lowest first.
fn group(sockets: &[(Common<'_>, &Open)]) -> SocketGroup {
    let (common, lowest) = sockets[0];
    let text = |text: &str| gmr_mask::text(text).into_owned();
    let mut group = SocketGroup {
        protocol: common.protocol.to_owned(),
        local: common.local.map(text),
        peer: common.peer.map(text),
        state: common.state.map(str::to_owned),
        descriptor: lowest.number,
        count: sockets.len() as u64,
        ..SocketGroup::default()
    };
    let mut peers = Vec::new();
    let mut max = Some(0_u64);
    for listed in sockets.iter().filter_map(|(_, open)| open.socket.as_ref()?.listed.as_ref()) {
        let accepts = listed.state == Some(LISTENING) && listed.port.is_some();
        if accepts {
            group.accept_queue = Some(group.accept_queue.unwrap_or(0).saturating_add(listed.receive_queue));
            // With several sockets, only the sum of all of them means something.
            max = max.zip(listed.backlog).map(|(sum, one)| sum.saturating_add(one));
        } else {
            group.receive_queue_bytes = group.receive_queue_bytes.saturating_add(listed.receive_queue);
        }
        group.send_queue_bytes = group.send_queue_bytes.saturating_add(listed.send_queue);
        peers.extend(listed.peer.as_deref());
    }
    group.accept_queue_max = max.filter(|_| group.accept_queue.is_some());
    if common.peer.is_none() {
        sort::all(&mut peers);
        peers.dedup();
        group.peers = peers.len() as u64;
    }
    group
}

/// The kernel appends this to the path of a file that is no longer in its directory.
const DELETED: &str = " (deleted)";

/// The files, and how many descriptors are of files beyond those.
fn files(open: &mut OpenDescriptors) -> (Vec<model::OpenFile>, u64) {
    let mut all: Vec<&Open> = open.list.iter().filter(|one| kind(one) == FILE).collect();
    sort::by_key(&mut all, |one| one.link.as_str());
    let mut files: Vec<_> = all
        .chunk_by(|one, next| one.link == next.link)
        .map(|descriptors| model::OpenFile {
            descriptor: descriptors[0].number,
            count: descriptors.len() as u64,
            path: descriptors[0].link.clone(),
            deleted: descriptors[0].link.ends_with(DELETED),
            ..model::OpenFile::default()
        })
        .collect();
    sort::by_key(&mut files, |file| (!file.deleted, file.descriptor));
    let rest = files.split_off(files.len().min(MAX_LISTED));
    let descriptors: Vec<i32> = files.iter().map(|file| file.descriptor).collect();
    for (file, known) in files.iter_mut().zip(open.files(&descriptors)) {
        file.path = gmr_mask::text(&file.path).into_owned();
        let OpenFile { position, size, access, disk } = known;
        (file.position, file.size_bytes, file.access) = (position, size, access.map(str::to_owned));
        (file.disk_bytes, file.disk_free_bytes) = disk.map(|space| (space.bytes, space.free)).unzip();
        let inodes = disk.and_then(|space| space.inodes);
        (file.disk_inodes, file.disk_free_inodes) = inodes.map(|inodes| (inodes.all, inodes.free)).unzip();
    }
    (files, rest.iter().map(|file| file.count).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::linux::Socket;

    fn open(number: i32, link: &str) -> Open {
        Open { number, link: link.to_owned(), socket: None, is_gmrs: false }
    }

    fn tcp(number: i32, local: &str, peer: Option<&str>, state: &'static str, queue: u64) -> Open {
        let listed = Socket {
            protocol: "TCP",
            local: local.to_owned(),
            is_named: true,
            port: local.rsplit(':').next().and_then(|port| port.parse().ok()),
            peer: peer.map(str::to_owned),
            state: Some(state),
            receive_queue: queue,
            send_queue: 0,
            backlog: (state == LISTENING).then_some(1),
        };
        let socket = OpenSocket { protocol: Some("TCP".to_owned()), listed: Some(listed) };
        Open { socket: Some(socket), ..open(number, "socket:[1]") }
    }

    #[test]
    fn kinds_are_known_by_links() {
        let kinds = [
            ("/var/log/shop.log", "file"),
            ("/var/a:[b", "file"),
            ("/dev/null", "device"),
            ("/dev/shm/cache", "file"),
            ("/memfd:jit (deleted)", "memfd"),
            ("pipe:[4711]", "pipe"),
            ("net:[4026531840]", "net"),
            ("anon_inode:[eventpoll]", "epoll"),
            ("anon_inode:[eventfd]", "eventfd"),
            ("anon_inode:inotify", "inotify"),
        ];
        for (link, expected) in kinds {
            assert_eq!(kind(&open(3, link)), expected, "{link}");
        }
    }

    #[test]
    fn connections_are_grouped_by_the_end_that_they_share() {
        let server = "10.0.0.1:8080";
        let mut list = vec![tcp(3, server, None, LISTENING, 2)];
        list.extend(
            (0..3).map(|one| tcp(10 + one, server, Some(&format!("10.0.9.{one}:4000")), "established", 5)),
        );
        list.extend((0..4).map(|one| {
            tcp(20 + one, &format!("10.0.0.1:5000{one}"), Some("10.0.0.7:5432"), "established", 0)
        }));
        let (groups, more) = sockets(&list);
        assert_eq!(more, 0);
        let shown: Vec<_> = groups
            .iter()
            .map(|group| {
                (group.count, group.local.as_deref(), group.peer.as_deref(), group.peers, group.descriptor)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (4, None, Some("10.0.0.7:5432"), 0, 20),
                (3, Some(server), None, 3, 10),
                (1, Some(server), None, 0, 3)
            ]
        );
        assert_eq!((groups[1].receive_queue_bytes, groups[1].accept_queue), (15, None));
        assert_eq!((groups[2].receive_queue_bytes, groups[2].accept_queue), (0, Some(2)));
        assert_eq!((groups[1].accept_queue_max, groups[2].accept_queue_max), (None, Some(1)));
        assert!(is_full(&groups[2]) && !is_full(&groups[1]));
    }

    #[test]
    fn a_counter_is_found_by_its_name() {
        let text = "Ip: a b\nIp: 1 2\nTcpExt: SyncookiesSent ListenOverflows\nTcpExt: 4 7\n";
        assert_eq!(counter(text, "TcpExt:", "ListenOverflows"), Some(7));
        assert_eq!(counter(text, "TcpExt:", "ListenDrops"), None);
        assert_eq!(counter("TcpExt: ListenOverflows\n", "TcpExt:", "ListenOverflows"), None);
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let all = (0..60_u16)
            .map(|one| tcp(one.into(), "10.0.0.1:1", Some(&format!("10.0.0.7:{one}")), "close", 0));
        let (groups, more) = sockets(&all.collect::<Vec<_>>());
        assert_eq!((groups.len(), more), (MAX_LISTED, 10));
    }
}
