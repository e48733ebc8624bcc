//! What a file descriptor refers to: a path, a pipe, a socket and its endpoints. Read from
//! `/proc/self/fd`; sockets are looked up in [`sockets`].

use crate::sys::hash::{HashMap, HashSet, Keys};
use std::io;

use super::sockets;
use crate::sys::procfs::Directory;
use crate::sys::{proc, thread_ids};

/// A descriptor of a thread: its number in the thread's table. Threads share one, but each can have
/// its own.
type OfThread = (u32, i32);

/// What a descriptor refers to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) shown: Option<String>,
    /// The number of the error, if it is not shown, or not in full.
    pub(super) unread: Option<i32>,
}

/// What each of these descriptors refers to. Closed ones are missing.
pub(super) fn targets(descriptors: HashSet<OfThread>) -> HashMap<OfThread, Target> {
    let mut targets = HashMap::with_capacity_and_hasher(descriptors.len(), Keys::default());
    let mut inodes = HashMap::default();
    let mut directory = match Directory::open("self/task") {
        Ok(directory) => directory,
        Err(error) => {
            let unread = |descriptor| (descriptor, Target { shown: None, unread: number(&error) });
            return descriptors.into_iter().map(unread).collect();
        }
    };
    let path = |(tid, descriptor): OfThread| format!("{}/fd/{descriptor}", thread_ids::outer(tid));
    for descriptor in descriptors {
        let link = match directory.link(&path(descriptor)) {
            Ok(link) => link,
            Err(error) => {
                let unread = number(&error);
                targets.extend(unread.map(|_| (descriptor, Target { shown: None, unread })));
                continue;
            }
        };
        inodes.extend(inode(&link).map(|inode| (descriptor, inode)));
        // The name of a pipe is its number.
        let shown = if link.starts_with("pipe:[") { link } else { gmr_mask::text(&link).into_owned().into() };
        targets.insert(descriptor, Target { shown: Some(shown.into_owned()), unread: None });
    }
    let wanted: Vec<(u64, OfThread)> =
        inodes.iter().map(|(descriptor, inode)| (*inode, *descriptor)).collect();
    let found = sockets::find(&wanted, |descriptor| format!("self/task/{}", path(descriptor)));
    let table_unread = found.error.as_ref().and_then(number);
    for (descriptor, inode) in inodes {
        let listed = found.sockets.get(&inode).map(sockets::in_words);
        let mut unread = table_unread.filter(|_| listed.is_none());
        let by_descriptor = match &listed {
            None => found.protocols.get(&inode).map(|protocol| format!("{protocol} socket [{inode}]")),
            Some(socket) if socket.starts_with(sockets::UNNAMED) => {
                let peer = sockets::peer(descriptor.1, inode).unwrap_or_else(|error| {
                    unread = number(&error);
                    None
                });
                peer.map(|peer| format!("{socket} -> {peer}"))
            }
            Some(_) => None,
        };
        // The descriptor's number may have been used again meanwhile.
        let is_same = |_: &String| {
            directory.link(&path(descriptor)).is_ok_and(|link| self::inode(&link) == Some(inode))
        };
        let socket = by_descriptor.filter(is_same).or(listed);
        let target = targets.entry(descriptor).or_default();
        target.shown = socket.or(target.shown.take());
        target.unread = unread;
    }
    targets
}

/// The number of an error. `None` if it means that something was closed or has ended meanwhile.
fn number(error: &io::Error) -> Option<i32> {
    let number = error.raw_os_error().unwrap_or(libc::EIO);
    (!matches!(number, libc::ENOENT | libc::ESRCH | libc::EBADF)).then_some(number)
}

/// The process that a descriptor from `pidfd_open(2)` refers to, by the id that this process knows.
/// `None` if it has been waited for.
pub(super) fn process(tid: u32, descriptor: i32) -> Option<u32> {
    let text = proc::read_text(&of_thread(tid, &format!("fdinfo/{descriptor}"))).ok()?;
    let ids = text.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_ascii_whitespace().nth(thread_ids::depth())?.parse().ok()
}

fn of_thread(tid: u32, name: &str) -> String {
    format!("self/task/{}/{name}", thread_ids::outer(tid))
}

/// The inode of a socket, from the link of its descriptor.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::sys::current_tid;

    /// What descriptors of the calling thread refer to.
    fn targets<const N: usize>(descriptors: [i32; N]) -> HashMap<i32, String> {
        let all = super::targets(descriptors.iter().map(|descriptor| (current_tid(), *descriptor)).collect());
        let shown = |target: Target| {
            assert_eq!(target.unread, None, "{target:?}");
            target.shown.expect("it was read")
        };
        all.into_iter().map(|((_, descriptor), target)| (descriptor, shown(target))).collect()
    }

    #[test]
    fn both_ends_of_a_connection_are_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let own = stream.local_addr().unwrap().port();
        let targets = targets([stream.as_raw_fd(), listener.as_raw_fd()]);
        let connected = format!("TCP 127.0.0.1:{own} -> 127.0.0.1:{port}, established");
        assert_eq!(targets[&stream.as_raw_fd()], connected);
        assert_eq!(targets[&listener.as_raw_fd()], format!("TCP 127.0.0.1:{port}, listening"));
    }

    #[test]
    fn other_sockets_and_files_are_named() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        let path = std::env::temp_dir().join(format!("a socket of {}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        peer.connect(bound.local_addr().unwrap()).unwrap();
        let file = File::open("/dev/null").unwrap();
        let all = [&one as &dyn AsRawFd, &bound, &peer, &listener, &client, &file];
        let targets = targets(all.map(AsRawFd::as_raw_fd));
        std::fs::remove_file(&path).unwrap();
        let socket = &targets[&one.as_raw_fd()];
        assert!(socket.starts_with("Unix socket ["), "{socket}");
        let bound_to = format!("UDP {}", bound.local_addr().unwrap());
        assert_eq!(targets[&bound.as_raw_fd()], bound_to);
        let connected_to =
            format!("UDP {}, peer {}", peer.local_addr().unwrap(), bound.local_addr().unwrap());
        assert_eq!(targets[&peer.as_raw_fd()], connected_to);
        let connected = &targets[&client.as_raw_fd()];
        assert!(connected.ends_with(&format!("] -> {}", path.display())), "{connected}");
        assert_eq!(targets[&listener.as_raw_fd()], format!("Unix socket {}", path.display()));
        assert_eq!(targets[&file.as_raw_fd()], "/dev/null");
    }

    #[test]
    fn a_closed_descriptor_has_no_target() {
        assert_eq!(targets([-1]), HashMap::default());
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn each_thread_has_the_descriptors_of_its_own_table() {
        let path = std::env::temp_dir().join(format!("a listener of {}", std::process::id()));
        let _listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // A number too high for the files that the other thread opens.
        let client = rustix::io::fcntl_dupfd_cloexec(&client, 100).unwrap();
        let (main, number) = (std::process::id(), client.as_raw_fd());
        // As in a report, the thread that looks them up has a table of its own.
        let looked_up = std::thread::spawn(move || {
            crate::sys::separate_files();
            let own = current_tid();
            (super::targets(HashSet::from_iter([(main, number), (own, number)])), own)
        });
        let (targets, own) = looked_up.join().unwrap();
        let socket = targets[&(main, number)].shown.as_ref().unwrap();
        assert!(socket.ends_with(&format!("] -> {}", path.display())), "{socket}");
        assert_eq!(targets.get(&(own, number)), None);
    }
}
