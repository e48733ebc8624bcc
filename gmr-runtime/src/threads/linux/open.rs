//! The open descriptors of the program, for reports about all of them: what each refers to, sockets
//! with their endpoints, files with their positions. What is read is limited in number: a process
//! can have a million descriptors, and the kernel keeps an entry in memory for each one that is
//! listed.

use std::io;

use rustix::fs::{AtFlags, Dir, FileType, StatxFlags};

use super::ports;
use super::sockets::{self, Socket};
use crate::model::EphemeralPorts;
use crate::sys::hash::HashSet;
use crate::sys::linux::sandbox;
use crate::sys::procfs::Directory;
use crate::sys::{mounts, own_threads, proc, sort, thread_ids};

/// How many descriptors are looked at, the lowest ones.
const MAX_READ: usize = 10_000;

/// For how many Unix sockets the name of the peer is looked up, which takes five system calls.
const MAX_PEERS: usize = 100;

/// The open descriptors of the program.
#[derive(Debug, Default)]
pub(crate) struct OpenDescriptors {
    /// How many there are, if it is known.
    pub(crate) count: Option<u64>,
    /// Those that were looked at.
    pub(crate) list: Vec<Open>,
    /// Whether there are more.
    pub(crate) is_cut: bool,
    /// Why some are not described in full, and what is not.
    pub(crate) unread: Vec<(&'static str, io::Error)>,
    /// Where the files of each are.
    directory: String,
}

/// A descriptor that is open.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) number: i32,
    /// As its link shows it: a path, or `pipe:[4711]`.
    pub(crate) link: String,
    pub(crate) socket: Option<OpenSocket>,
    /// Whether gmr has opened it, to keep it.
    pub(crate) is_gmrs: bool,
}

/// A socket that is open.
#[derive(Debug)]
pub(crate) struct OpenSocket {
    /// The protocol. `None` if the kernel does not say.
    pub(crate) protocol: Option<String>,
    /// What the tables have of it.
    pub(crate) listed: Option<Socket>,
}

/// What is known of an open file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenFile {
    pub(crate) position: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) access: Option<&'static str>,
    /// If it is open for writing.
    pub(crate) disk: Option<Space>,
}

/// The size of a file system, and what unprivileged users can still write to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) bytes: u64,
    pub(crate) free: u64,
    /// If their number is limited.
    pub(crate) inodes: Option<Inodes>,
}

/// How many files a file system can have, and how many more unprivileged users can create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inodes {
    pub(crate) all: u64,
    pub(crate) free: u64,
}

/// How many descriptors the program has open.
///
/// # Errors
/// If they cannot be counted, or if there are too many for that.
pub(crate) fn open_descriptors() -> io::Result<u64> {
    // Those of the main thread. Without it, the others have to be listed.
    if let Some(count) = counted("self/fd") {
        return Ok(count);
    }
    let directory = directory_of_program()?;
    if let Some(count) = counted(&directory) {
        return Ok(count);
    }
    let numbers = numbers(&directory)?;
    if numbers.len() < MAX_READ {
        return Ok(numbers.len() as u64);
    }
    Err(io::Error::other(format!("there are {MAX_READ} or more, and this kernel does not count them")))
}

/// The open descriptors of the program.
///
/// # Errors
/// If they cannot be listed.
pub(crate) fn open_list() -> io::Result<OpenDescriptors> {
    let directory = directory_of_program()?;
    let count = counted(&directory);
    let numbers = numbers(&directory)?;
    let is_cut = numbers.len() == MAX_READ;
    let count = count.or_else(|| (!is_cut).then_some(numbers.len() as u64));
    let gmrs = proc::kept().and_then(|number| i32::try_from(number).ok());
    let mut links = Directory::open(&directory)?;
    let mut open = OpenDescriptors { count, is_cut, directory, ..OpenDescriptors::default() };
    for number in numbers {
        match links.link(&number.to_string()) {
            Ok(link) => open.list.push(Open {
                number,
                link: link.into_owned(),
                socket: None,
                is_gmrs: Some(number) == gmrs,
            }),
            // It was closed meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => open.note("what descriptors refer to", error),
        }
    }
    open.find_sockets();
    open.find_peers();
    Ok(open)
}

/// The directory of the program's descriptors: that of its main thread, or of another one if that
/// has ended. Threads of gmr's have other tables.
fn directory_of_program() -> io::Result<String> {
    let (threads, own) = own_threads::during(thread_ids::list);
    let main = std::process::id();
    let threads = threads?.into_iter().map(|(tid, _)| tid);
    let others = threads.filter(|tid| *tid != main && own.name_of(*tid, "").is_none());
    let mut error = None;
    for tid in std::iter::once(main).chain(others) {
        let directory = format!("self/task/{}/fd", thread_ids::outer(tid));
        match proc::open_directory(&directory).map(Dir::new).map(has_entries) {
            Ok(true) => return Ok(directory),
            Ok(false) => {}
            Err(other) => error = error.or(Some(other)),
        }
    }
    Err(error.unwrap_or_else(|| io::Error::other("no thread of the program has any")))
}

/// Whether there are more than the directory itself and the one above.
fn has_entries(directory: rustix::io::Result<Dir>) -> bool {
    directory.is_ok_and(|directory| directory.flatten().nth(2).is_some())
}

/// How many there are, as the kernel counts them: since Linux 6.2, it does.
fn counted(directory: &str) -> Option<u64> {
    let stat = rustix::fs::fstat(proc::open_directory(directory).ok()?).ok()?;
    u64::try_from(stat.st_size).ok().filter(|size| *size > 0)
}

/// The lowest descriptors, in ascending order.
fn numbers(directory: &str) -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in Dir::new(proc::open_directory(directory)?)? {
        if let Some(number) = entry?.file_name().to_str().ok().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
        if numbers.len() == MAX_READ {
            break;
        }
    }
    sort::all(&mut numbers);
    Ok(numbers)
}

impl OpenDescriptors {
    /// Notes the first error of each kind.
    fn note(&mut self, what: &'static str, error: io::Error) {
        if self.unread.iter().all(|(known, _)| *known != what) {
            self.unread.push((what, error));
        }
    }

    /// Looks up the sockets.
    fn find_sockets(&mut self) {
        let wanted: Vec<(u64, i32)> =
            self.list.iter().filter_map(|open| Some((inode(&open.link)?, open.number))).collect();
        if wanted.is_empty() {
            return;
        }
        let found = sockets::find(&wanted, |number| format!("{}/{number}", self.directory));
        for open in &mut self.list {
            let Some(inode) = inode(&open.link) else { continue };
            let listed = found.sockets.get(&inode).cloned();
            let protocol = listed.as_ref().map(|listed| listed.protocol.to_owned());
            let protocol = protocol.or_else(|| found.protocols.get(&inode).cloned());
            open.socket = Some(OpenSocket { protocol, listed });
        }
        if let Some(error) = found.protocol_error {
            self.note("the protocols of sockets", error);
        }
        if let Some(error) = found.error {
            self.note("the addresses of sockets", error);
        } else if found.is_cut {
            self.note(
                "the addresses of some sockets",
                io::Error::other("the network namespace has too many sockets"),
            );
        }
    }

    /// Looks up the names of the peers of connected Unix sockets.
    fn find_peers(&mut self) {
        let connected = |open: &&mut Open| {
            let listed = open.socket.as_ref().and_then(|socket| socket.listed.as_ref());
            listed.is_some_and(|listed| !listed.is_named && listed.state.is_some())
        };
        let mut refused = None;
        for open in self.list.iter_mut().filter(connected).take(MAX_PEERS) {
            let Some(inode) = inode(&open.link) else { continue };
            match sockets::peer(open.number, inode) {
                Ok(peer) => {
                    if let Some(listed) = open.socket.as_mut().and_then(|socket| socket.listed.as_mut()) {
                        listed.peer = peer;
                    }
                }
                // It was closed meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = refused {
            self.note("the peers of Unix sockets", error);
        }
    }

    /// The ports that the process's connections have in common with others, if the kernel may run
    /// out of them.
    pub(crate) fn ports(&self) -> Option<EphemeralPorts> {
        let is_connection = |open: &&Open| {
            let listed = open.socket.as_ref().and_then(|socket| socket.listed.as_ref());
            listed.is_some_and(|listed| listed.protocol == sockets::TCP && listed.peer.is_some())
        };
        let connections = self.list.iter().filter(is_connection);
        ports::in_use(&connections.filter_map(|open| inode(&open.link)).collect())
    }

    /// What is known of these descriptors, which refer to files. Positions do not change what is
    /// read. Sizes are asked for only where the kernel answers by itself: a server that does not
    /// respond would block this thread.
    pub(crate) fn files(&mut self, descriptors: &[i32]) -> Vec<OpenFile> {
        let local = match mounts::list() {
            Ok(mounts) => mounts
                .into_iter()
                .filter(|mount| mounts::is_local(&mount.kind))
                .map(|mount| mount.id)
                .collect(),
            Err(error) => {
                self.note("the sizes of files", error);
                HashSet::default()
            }
        };
        let opened = Directory::open(self.directory.trim_end_matches("fd"));
        let links = proc::open_directory(&self.directory);
        let (mut directory, links) = match (opened, links) {
            (Ok(directory), Ok(links)) => (directory, links),
            (Err(error), _) | (_, Err(error)) => {
                self.note("positions in files", error);
                return descriptors.iter().map(|_| OpenFile::default()).collect();
            }
        };
        let mut files = Vec::with_capacity(descriptors.len());
        // By mount.
        let mut disks: Vec<(u64, Option<Space>)> = Vec::new();
        for descriptor in descriptors {
            let information = match directory.read(&format!("fdinfo/{descriptor}")) {
                Ok(text) => Information::parse(&text),
                Err(error) => {
                    if error.raw_os_error() != Some(libc::ENOENT) {
                        self.note("positions in files", error);
                    }
                    files.push(OpenFile::default());
                    continue;
                }
            };
            let mut file = OpenFile {
                position: information.position,
                access: information.flags.and_then(access),
                size: None,
                disk: None,
            };
            if let Some(mount) = information.mount.filter(|mount| local.contains(mount)) {
                let name = descriptor.to_string();
                let wanted = StatxFlags::TYPE | StatxFlags::SIZE;
                match rustix::fs::statx(&links, &*name, AtFlags::STATX_DONT_SYNC, wanted) {
                    Ok(stat) if FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile => {
                        file.size = Some(stat.stx_size);
                        if information.flags.is_some_and(is_written) {
                            let known = disks.iter().find(|(known, _)| *known == mount);
                            let ask = || space(&format!("/proc/{}/{name}", self.directory));
                            let space = known.map_or_else(ask, |(_, space)| *space);
                            if known.is_none() {
                                disks.push((mount, space));
                            }
                            file.disk = space;
                        }
                    }
                    // A directory or a device has no position that means anything.
                    Ok(_) => file.position = None,
                    Err(rustix::io::Errno::NOENT) => {}
                    Err(error) => self.note("the sizes of files", error.into()),
                }
            }
            files.push(file);
        }
        files
    }
}

/// Whether a file that was opened with these flags of `open(2)` can be written to.
fn is_written(flags: u32) -> bool {
    let flags = flags.cast_signed();
    flags & libc::O_PATH == 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// The space on the file system that this path is on. `None` if it has no size, as `/proc`, and
/// where the call might end the process.
fn space(path: &str) -> Option<Space> {
    if sandbox::may_end_the_process() {
        return None;
    }
    let stat = rustix::fs::statvfs(path).ok().filter(|stat| stat.f_blocks > 0)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    // Where inodes are made as they are needed, there is no number of them.
    let inodes = (stat.f_files > 0).then_some(Inodes { all: stat.f_files, free: stat.f_favail });
    Some(Space { bytes: bytes(stat.f_blocks), free: bytes(stat.f_bavail), inodes })
}

/// The inode of a socket, from the link of its descriptor.
pub(super) fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Lines of `fdinfo` that every descriptor has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Information {
    position: Option<u64>,
    flags: Option<u32>,
    mount: Option<u64>,
}

impl Information {
    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
        };
        Self {
            position: value("pos").and_then(|number| number.parse().ok()),
            flags: value("flags").and_then(|number| u32::from_str_radix(number, 8).ok()),
            mount: value("mnt_id").and_then(|number| number.parse().ok()),
        }
    }
}

/// What a file is open for, by the flags of `open(2)`.
fn access(flags: u32) -> Option<&'static str> {
    let has = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
    Some(match flags.cast_signed() & libc::O_ACCMODE {
        _ if has(libc::O_PATH) => return None,
        libc::O_RDONLY => "read",
        libc::O_WRONLY if has(libc::O_APPEND) => "append",
        libc::O_WRONLY => "write",
        _ if has(libc::O_APPEND) => "read and append",
        _ => "read and write",
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    fn find(open: &OpenDescriptors, descriptor: i32) -> &Open {
        open.list.iter().find(|open| open.number == descriptor).expect("it is open")
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn files_sockets_and_their_number_are_known() {
        let path = std::env::temp_dir().join(format!("gmr open {}", std::process::id()));
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"seven b").unwrap();
        std::fs::remove_file(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut open = open_list().unwrap();
        assert!(open.unread.is_empty(), "{:?}", open.unread);
        assert!(open.count.is_some_and(|count| count >= 3));
        assert!(open_descriptors().unwrap() >= 3);
        let listed = |descriptor| find(&open, descriptor).socket.as_ref().unwrap().listed.clone().unwrap();
        let (listener, client) = (listed(listener.as_raw_fd()), listed(client.as_raw_fd()));
        assert_eq!((listener.state, listener.receive_queue), (Some(sockets::LISTENING), 1));
        assert_eq!((client.state, client.peer), (Some("established"), Some(listener.local)));
        let link = &find(&open, file.as_raw_fd()).link;
        assert_eq!(*link, format!("{} (deleted)", path.display()));
        let known = open.files(&[file.as_raw_fd()]).remove(0);
        assert_eq!((known.position, known.size, known.access), (Some(7), Some(7), Some("write")));
        let on_disk = known.disk.expect("it is open for writing");
        assert!(on_disk.bytes > 0 && on_disk.free <= on_disk.bytes, "{on_disk:?}");
    }

    #[test]
    fn the_flags_tell_what_a_file_is_open_for() {
        let information = Information::parse("pos:\t7\nflags:\t0102001\nmnt_id:\t29\nino:\t1\n");
        assert_eq!(information, Information { position: Some(7), flags: Some(0o102_001), mount: Some(29) });
        assert_eq!(Information::parse("nonsense"), Information::default());
        let words = |flags: libc::c_int| access(flags.cast_unsigned());
        assert_eq!(words(libc::O_RDONLY | libc::O_CLOEXEC), Some("read"));
        assert_eq!(words(libc::O_WRONLY | libc::O_APPEND), Some("append"));
        assert_eq!(words(libc::O_RDWR), Some("read and write"));
        assert_eq!(words(libc::O_PATH), None);
        let writes =
            [libc::O_WRONLY | libc::O_APPEND, libc::O_RDWR, libc::O_RDONLY, libc::O_PATH | libc::O_RDWR]
                .map(|flags| is_written(flags.cast_unsigned()));
        assert_eq!(writes, [true, true, false, false]);
    }
}
