//! What the arguments of a system call say about the wait: a descriptor, a futex, a path, a child.
//!
//! Some arguments point to memory, which the caller makes available as a [`Source`]: this file does
//! no I/O. The calls are told apart by name, since numbers differ between architectures.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::syscalls::Call;
use super::{sockets, syscall_names};
use crate::mask;
use crate::model::{Children, Event, FutexOwner, Waiting, Watched};

/// How many descriptors of a `poll` or `select` are shown; the others are counted.
const MAX_DESCRIPTORS: usize = 8;

/// A longer list is not read. By default, no process can have more descriptors.
const MAX_ENTRIES: u64 = 1 << 20;

/// The kernel's limit on the length of a path, with the final zero.
const MAX_PATH: usize = 4096;

/// What is known about a thread in a system call, beyond the call and its arguments.
pub(super) trait Source {
    /// Fills `buffer` with the process's memory from `address` on, and returns how many bytes could
    /// be read.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize;

    /// Size of the thread's descriptor table: each open descriptor is below it.
    fn table_size(&mut self) -> Option<u64>;

    /// The kernel function that the thread sleeps in.
    fn kernel_function(&mut self) -> Option<String>;
}

/// A source for what the arguments alone say.
pub(super) struct Nothing;

impl Source for Nothing {
    fn read(&mut self, _address: u64, _buffer: &mut [u8]) -> usize {
        0
    }

    fn table_size(&mut self) -> Option<u64> {
        None
    }

    fn kernel_function(&mut self) -> Option<String> {
        None
    }
}

/// The call by name, and what it waits for. What its descriptors refer to and the names of other
/// threads and processes are not yet looked up.
pub(super) fn describe(call: Call, source: &mut impl Source) -> Waiting {
    let Some(name) = syscall_names::name(call.number) else {
        return Waiting { call: format!("system call {}", call.number), ..Waiting::default() };
    };
    let waiting = Waiting { call: common_name(name).to_owned(), ..Waiting::default() };
    let arguments = call.arguments;
    if uses_descriptor(name) {
        let peer = match name {
            "connect" => peer(arguments[1], arguments[2], source),
            "sendto" => peer(arguments[4], arguments[5], source),
            _ => None,
        };
        return Waiting { descriptor: Some(int(arguments[0])), peer, ..waiting };
    }
    if let Some(argument) = path_argument(name) {
        return with_path(argument, arguments, source, waiting);
    }
    match name {
        "futex" => futex(arguments, source, waiting),
        "futex_wait" => Waiting { futex: Some(arguments[0]), ..waiting },
        "futex_waitv" => several_futexes(arguments, source, waiting),
        "poll" | "ppoll" => polled(arguments, source).into(waiting),
        "select" | "pselect6" => selected(arguments, source).into(waiting),
        "splice" | "copy_file_range" => moved(arguments[0], arguments[2], source).into(waiting),
        "tee" => moved(arguments[0], arguments[1], source).into(waiting),
        "sendfile" => moved(arguments[1], arguments[0], source).into(waiting),
        "wait4" => Waiting { children: Some(waited_for(int(arguments[0]))), ..waiting },
        "waitid" => waitid(arguments, waiting),
        "msgrcv" | "msgsnd" | "semop" | "semtimedop" => Waiting { ipc: Some(int(arguments[0])), ..waiting },
        "clone" if is_vfork(arguments[0]) => Waiting { call: "vfork".to_owned(), ..waiting },
        "clone3" if number(arguments[0], source).is_some_and(is_vfork) => {
            Waiting { call: "vfork".to_owned(), ..waiting }
        }
        _ => waiting,
    }
}

/// The name that variants of a call share.
fn common_name(name: &str) -> &str {
    match name {
        "accept4" => "accept",
        "clock_nanosleep" => "nanosleep",
        "epoll_pwait" | "epoll_pwait2" => "epoll_wait",
        "getdents64" => "getdents",
        "newfstatat" | "statx" => "stat",
        "openat" | "openat2" => "open",
        "ppoll" => "poll",
        "pread64" => "pread",
        "pselect6" => "select",
        "pwrite64" => "pwrite",
        "renameat" | "renameat2" => "rename",
        "rt_sigsuspend" => "sigsuspend",
        "rt_sigtimedwait" => "sigwait",
        "unlinkat" => "unlink",
        "wait4" | "waitid" => "wait",
        name => name,
    }
}

/// Whether the first argument is the descriptor that the call waits for.
///
/// What an epoll instance watches is in its `fdinfo`. It is left out: to list it, the kernel holds
/// the lock that the program needs to add and to take events, for as long as it formats one line
/// for each of what may be a hundred thousand connections.
fn uses_descriptor(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "accept4"
            | "bind"
            | "cachestat"
            | "close"
            | "connect"
            | "epoll_ctl"
            | "epoll_pwait"
            | "epoll_pwait2"
            | "epoll_wait"
            | "fallocate"
            | "fchdir"
            | "fchmod"
            | "fchown"
            | "fcntl"
            | "fdatasync"
            | "fgetxattr"
            | "finit_module"
            | "flistxattr"
            | "flock"
            | "fremovexattr"
            | "fsetxattr"
            | "fsmount"
            | "fstat"
            | "fstatfs"
            | "fsync"
            | "ftruncate"
            | "getdents"
            | "getdents64"
            | "getpeername"
            | "getsockname"
            | "getsockopt"
            | "io_uring_enter"
            | "io_uring_register"
            | "ioctl"
            | "listen"
            | "lseek"
            | "mq_getsetattr"
            | "mq_notify"
            | "mq_timedreceive"
            | "mq_timedsend"
            | "pread64"
            | "preadv"
            | "preadv2"
            | "pwrite64"
            | "pwritev"
            | "pwritev2"
            | "read"
            | "readahead"
            | "readv"
            | "recvfrom"
            | "recvmmsg"
            | "recvmsg"
            | "sendmmsg"
            | "sendmsg"
            | "sendto"
            | "setns"
            | "setsockopt"
            | "shutdown"
            | "sync_file_range"
            | "syncfs"
            | "vmsplice"
            | "write"
            | "writev"
    )
}

/// Which argument is the path that the call is about. `(None, 0)` if the first is, and
/// `(Some(0), 1)` if the second is and is relative to the directory of the first.
fn path_argument(name: &str) -> Option<(Option<usize>, usize)> {
    match name {
        "access" | "acct" | "chdir" | "chmod" | "chown" | "chroot" | "creat" | "execve" | "getxattr"
        | "lchown" | "lgetxattr" | "link" | "listxattr" | "llistxattr" | "lremovexattr" | "lsetxattr"
        | "lstat" | "mkdir" | "mknod" | "mq_open" | "mq_unlink" | "open" | "pivot_root" | "readlink"
        | "removexattr" | "rename" | "rmdir" | "setxattr" | "stat" | "statfs" | "swapoff" | "swapon"
        | "truncate" | "umount2" | "unlink" | "utime" | "utimes" => Some((None, 0)),
        // The path that is created: the first is what it refers to.
        "mount" | "symlink" => Some((None, 1)),
        "symlinkat" => Some((Some(1), 2)),
        "execveat" | "faccessat" | "faccessat2" | "fchmodat" | "fchmodat2" | "fchownat" | "file_getattr"
        | "file_setattr" | "fspick" | "futimesat" | "getxattrat" | "inotify_add_watch" | "linkat"
        | "listxattrat" | "mkdirat" | "mknodat" | "mount_setattr" | "move_mount" | "name_to_handle_at"
        | "newfstatat" | "open_tree" | "open_tree_attr" | "openat" | "openat2" | "readlinkat"
        | "removexattrat" | "renameat" | "renameat2" | "setxattrat" | "statx" | "unlinkat" | "utimensat" => {
            Some((Some(0), 1))
        }
        _ => None,
    }
}

fn with_path(
    (directory, argument): (Option<usize>, usize),
    arguments: [u64; 6],
    source: &mut impl Source,
    waiting: Waiting,
) -> Waiting {
    let Some(path) = path(arguments[argument], source) else { return waiting };
    // An absolute path makes the directory irrelevant. An empty path stands for the directory's
    // descriptor itself.
    let descriptor = directory.map(|argument| int(arguments[argument]));
    let descriptor = descriptor.filter(|descriptor| !path.starts_with('/') && *descriptor != libc::AT_FDCWD);
    let path = (!path.is_empty()).then(|| mask::text(&path).into_owned());
    Waiting { descriptor, path, ..waiting }
}

/// The path at `address`. `None` if it does not end within the length that the kernel allows.
fn path(address: u64, source: &mut impl Source) -> Option<String> {
    let mut buffer = [0; MAX_PATH];
    let read = source.read(address, &mut buffer);
    let length = buffer[..read].iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// `futex(address, operation, value, timeout, address2, ..)`. An operation that does not wait, for
/// example one that wakes other threads, waits for no futex.
fn futex(arguments: [u64; 6], source: &mut impl Source, waiting: Waiting) -> Waiting {
    let futex = Some(arguments[0]);
    match int(arguments[1]) & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => Waiting { futex, ..waiting },
        libc::FUTEX_LOCK_PI | FUTEX_LOCK_PI2 => {
            Waiting { futex, futex_owner: owner(arguments[0], source), ..waiting }
        }
        libc::FUTEX_WAIT_REQUEUE_PI => Waiting { futex, requeue_futex: Some(arguments[4]), ..waiting },
        _ => waiting,
    }
}

/// As `libc` has it for some targets only.
const FUTEX_LOCK_PI2: i32 = 13;

/// The thread that the lock's word names.
fn owner(address: u64, source: &mut impl Source) -> Option<FutexOwner> {
    const TID: u32 = 0x3fff_ffff;
    let mut word = [0; 4];
    let read = source.read(address, &mut word);
    let tid = u32::from_ne_bytes(word) & TID;
    (read == word.len() && tid != 0).then_some(FutexOwner { tid, name: None })
}

/// `futex_waitv(waiters, count, ..)`, waiters of 24 bytes each: a value, the address, flags.
fn several_futexes(arguments: [u64; 6], source: &mut impl Source, waiting: Waiting) -> Waiting {
    /// The kernel's limit.
    const MAX: usize = 128;
    let count = usize::try_from(arguments[1] & u64::from(u32::MAX)).unwrap_or(MAX).min(MAX);
    let mut buffer = [0; 24 * MAX];
    let waiters = &mut buffer[..24 * count];
    if source.read(arguments[0], waiters) < waiters.len() {
        return waiting;
    }
    let address = |waiter: &[u8]| u64::from_ne_bytes(waiter[8..16].try_into().expect("eight bytes"));
    let futexes: Vec<u64> = waiters.chunks_exact(24).map(address).collect();
    match futexes[..] {
        [futex] => Waiting { futex: Some(futex), ..waiting },
        _ => Waiting { futexes, ..waiting },
    }
}

/// Descriptors that a call waits for: the first few, and the number of the others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Several {
    descriptors: Vec<Watched>,
    more: usize,
}

impl Several {
    fn push(&mut self, descriptor: i32, events: impl FnOnce() -> Vec<Event>) {
        if self.descriptors.len() < MAX_DESCRIPTORS {
            self.descriptors.push(Watched { descriptor, target: None, events: events() });
        } else {
            self.more += 1;
        }
    }

    fn into(self, waiting: Waiting) -> Waiting {
        Waiting { descriptors: self.descriptors, more_descriptors: self.more, ..waiting }
    }
}

/// `poll(list, count, ..)`, entries of 8 bytes each: the descriptor, the events, and the result,
/// which the kernel writes when the call returns. Nothing if the list cannot be read.
fn polled(arguments: [u64; 6], source: &mut impl Source) -> Several {
    let [list, count, ..] = arguments;
    // An unsigned int.
    let count = count & u64::from(u32::MAX);
    let mut several = Several::default();
    if count > MAX_ENTRIES {
        return several;
    }
    let mut buffer = [0; 4096];
    let mut index = 0;
    while index < count {
        let part = usize::try_from((count - index) * 8).unwrap_or(usize::MAX).min(buffer.len());
        let entries = &mut buffer[..part];
        if source.read(list.wrapping_add(index * 8), entries) < part {
            return Several::default();
        }
        for entry in entries.chunks_exact(8) {
            let descriptor = i32::from_ne_bytes(entry[..4].try_into().expect("four bytes"));
            let events = i16::from_ne_bytes(entry[4..6].try_into().expect("two bytes"));
            // The kernel ignores negative ones.
            if descriptor >= 0 {
                several.push(descriptor, || events_of(events));
            }
        }
        index += part as u64 / 8;
    }
    several
}

fn events_of(bits: i16) -> Vec<Event> {
    let events = [
        (Event::Read, libc::POLLIN | libc::POLLRDNORM | libc::POLLRDBAND),
        (Event::Write, libc::POLLOUT | libc::POLLWRNORM | libc::POLLWRBAND),
        (Event::Priority, libc::POLLPRI),
        (Event::Hangup, libc::POLLRDHUP),
    ];
    events.into_iter().filter(|(_, mask)| bits & mask != 0).map(|(event, _)| event).collect()
}

/// `select(count, read, write, except, ..)`: three sets of bits, in words of 64. The kernel writes
/// the result into them when the call returns. Nothing if a set cannot be read.
fn selected(arguments: [u64; 6], source: &mut impl Source) -> Several {
    const EVENTS: [Event; 3] = [Event::Read, Event::Write, Event::Priority];
    /// Length of one piece of a set.
    const WORDS: usize = 64;
    const PIECE: u64 = 64 * WORDS as u64;
    // A program can pass any count: the kernel ignores what is beyond the descriptor table, and
    // there is not necessarily a set there. An `fd_set` has `FD_SETSIZE` bits.
    let count = u64::try_from(int(arguments[0])).unwrap_or(0);
    let limit = if count > 64 { source.table_size().unwrap_or(libc::FD_SETSIZE as u64) } else { 64 };
    let count = count.min(limit);
    let mut several = Several::default();
    if count > MAX_ENTRIES {
        return several;
    }
    let mut start = 0;
    while start < count {
        let bits = (count - start).min(PIECE);
        let words = bits.div_ceil(64) as usize;
        let mut sets = [[0; WORDS]; EVENTS.len()];
        for (set, &address) in sets.iter_mut().zip(&arguments[1..]) {
            let address = (address != 0).then(|| address.wrapping_add(start / 8));
            if address.is_some_and(|address| !read_words(address, &mut set[..words], source)) {
                return Several::default();
            }
        }
        for word in 0..words {
            let mut any = sets.iter().fold(0, |any, set| any | set[word]);
            while any != 0 {
                let bit = any.trailing_zeros();
                any &= any - 1;
                let index = word as u64 * 64 + u64::from(bit);
                let events = EVENTS.iter().zip(&sets).filter(|(_, set)| set[word] >> bit & 1 == 1);
                if index < bits {
                    several.push(int(start + index), || events.map(|(event, _)| *event).collect());
                }
            }
        }
        start += PIECE;
    }
    several
}

/// Both sides of a call that moves data, or the one that it waits for.
fn moved(from: u64, to: u64, source: &mut impl Source) -> Several {
    let from = |several: &mut Several| several.push(int(from), || vec![Event::Read]);
    let to = |several: &mut Several| several.push(int(to), || vec![Event::Write]);
    let mut several = Several::default();
    let function = source.kernel_function().unwrap_or_default();
    // The compiler can append to the name, as in `.isra.0`.
    match function.split('.').next().unwrap_or_default() {
        "pipe_wait_readable" | "sk_wait_data" | "unix_stream_data_wait" => from(&mut several),
        "pipe_wait_writable" | "sk_stream_wait_memory" | "sock_alloc_send_pskb" => to(&mut several),
        _ => {
            from(&mut several);
            to(&mut several);
        }
    }
    several
}

/// What a process id means as an argument of `wait4`.
fn waited_for(pid: i32) -> Children {
    match pid {
        0 => Children::OwnGroup,
        -1 => Children::Any,
        ..0 => Children::Group { id: pid.unsigned_abs() },
        1.. => Children::One { pid: pid.unsigned_abs(), name: None },
    }
}

/// `waitid(type, id, ..)`
fn waitid(arguments: [u64; 6], waiting: Waiting) -> Waiting {
    let id = int(arguments[1]);
    let children = match arguments[0] & u64::from(u32::MAX) {
        kind if kind == u64::from(libc::P_ALL) => Children::Any,
        kind if kind == u64::from(libc::P_PID) => Children::One { pid: id.unsigned_abs(), name: None },
        kind if kind == u64::from(libc::P_PGID) && id == 0 => Children::OwnGroup,
        kind if kind == u64::from(libc::P_PGID) => Children::Group { id: id.unsigned_abs() },
        kind if kind == u64::from(libc::P_PIDFD) => return Waiting { descriptor: Some(id), ..waiting },
        _ => return waiting,
    };
    Waiting { children: Some(children), ..waiting }
}

/// Whether these flags of `clone` hold the caller until the child has started another program, or
/// has ended. `posix_spawn` does that.
fn is_vfork(flags: u64) -> bool {
    flags & libc::CLONE_VFORK as u64 != 0
}

/// The address of a socket, as in `sockaddr(3type)`. `None` for an unnamed one, and for families
/// that are not known here.
fn peer(address: u64, length: u64, source: &mut impl Source) -> Option<String> {
    /// The size of `sockaddr_storage`. The kernel accepts no longer ones.
    const MAX: usize = 128;
    let mut buffer = [0; MAX];
    let length = usize::try_from(length & u64::from(u32::MAX)).ok()?.min(MAX);
    let bytes = &mut buffer[..length];
    if address == 0 || source.read(address, bytes) < length {
        return None;
    }
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some(match family {
        libc::AF_INET => {
            let host: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            SocketAddr::from((Ipv4Addr::from(host), port()?)).to_string()
        }
        libc::AF_INET6 => {
            let host: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            SocketAddr::new(Ipv6Addr::from(host).to_canonical(), port()?).to_string()
        }
        libc::AF_UNIX => sockets::unix_name(&bytes[2..])?,
        libc::AF_NETLINK => format!("netlink port {}", word(4)?),
        libc::AF_VSOCK => format!("vsock {}:{}", word(8)?, word(4)?),
        _ => return None,
    })
}

/// The number at `address`.
fn number(address: u64, source: &mut impl Source) -> Option<u64> {
    let mut words = [0];
    read_words(address, &mut words, source).then_some(words[0])
}

/// Fills `words` from `address` on. False if not all of them can be read.
fn read_words(address: u64, words: &mut [u64], source: &mut impl Source) -> bool {
    let mut buffer = [0; 512];
    let bytes = &mut buffer[..words.len() * 8];
    if source.read(address, bytes) < bytes.len() {
        return false;
    }
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
    }
    true
}

/// An argument of type `int`: the upper half of its register has no meaning.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "it is an int")]
fn int(argument: u64) -> i32 {
    argument as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::syscalls::parse;
    use super::*;

    /// Where the memory of the tests begins.
    const BASE: u64 = 0x1000;

    /// Memory that ends where no more is mapped.
    #[derive(Debug, Default)]
    struct Memory {
        bytes: Vec<u8>,
        table_size: Option<u64>,
        kernel_function: Option<&'static str>,
    }

    impl Source for Memory {
        fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
            let start = address.checked_sub(BASE).and_then(|start| usize::try_from(start).ok());
            let bytes = start.and_then(|start| self.bytes.get(start..)).unwrap_or_default();
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            count
        }

        fn table_size(&mut self) -> Option<u64> {
            self.table_size
        }

        fn kernel_function(&mut self) -> Option<String> {
            self.kernel_function.map(str::to_owned)
        }
    }

    impl From<&[u8]> for Memory {
        fn from(bytes: &[u8]) -> Self {
            Self { bytes: bytes.to_vec(), ..Self::default() }
        }
    }

    fn call(number: i64, arguments: [u64; 6]) -> Call {
        let arguments = arguments.map(|argument| format!(" {argument:#x}")).concat();
        parse(&format!("{number}{arguments} 0x7ffd 0x7f02")).unwrap()
    }

    fn described(number: i64, arguments: [u64; 6], memory: &[u8]) -> Waiting {
        describe(call(number, arguments), &mut Memory::from(memory))
    }

    fn watched(descriptor: i32, events: &[Event]) -> Watched {
        Watched { descriptor, target: None, events: events.to_vec() }
    }

    #[test]
    fn the_first_argument_of_a_read_is_its_descriptor() {
        let read = described(libc::SYS_pread64, [5, 0, 0, 0, 0, 0], &[]);
        assert_eq!((read.call.as_str(), read.descriptor), ("pread", Some(5)));
        let sleep = described(libc::SYS_clock_nanosleep, [1, 0, 0, 0, 0, 0], &[]);
        assert_eq!((sleep.call.as_str(), sleep.descriptor), ("nanosleep", None));
        assert_eq!(described(9_999, [0; 6], &[]).call, "system call 9999");
        for (number, name) in [
            (libc::SYS_preadv2, "preadv2"),
            (libc::SYS_pwritev2, "pwritev2"),
            (libc::SYS_vmsplice, "vmsplice"),
            (libc::SYS_mq_timedsend, "mq_timedsend"),
        ] {
            let waiting = described(number, [7, 0, 0, 0, 0, 0], &[]);
            assert_eq!((waiting.call.as_str(), waiting.descriptor), (name, Some(7)));
        }
        let queue = described(libc::SYS_msgsnd, [3, 0, 0, 0, 0, 0], &[]);
        assert_eq!((queue.ipc, queue.descriptor), (Some(3), None));
    }

    #[test]
    fn only_operations_that_wait_have_a_futex() {
        let futex = |operation: i32| {
            let operation = u64::from((operation | libc::FUTEX_PRIVATE_FLAG).cast_unsigned());
            described(libc::SYS_futex, [BASE, operation, 0, 0, 0x40, 0], &[7, 0, 0, 0x80])
        };
        assert_eq!(futex(libc::FUTEX_WAIT).futex, Some(BASE));
        assert_eq!(futex(libc::FUTEX_WAIT_BITSET).futex_owner, None);
        assert_eq!(futex(libc::FUTEX_WAKE).futex, None);
        let lock = futex(libc::FUTEX_LOCK_PI);
        assert_eq!((lock.futex, lock.futex_owner.unwrap().tid), (Some(BASE), 7));
        assert_eq!(futex(libc::FUTEX_WAIT_REQUEUE_PI).requeue_futex, Some(0x40));
        let free = described(libc::SYS_futex, [BASE, 6, 0, 0, 0, 0], &[0; 4]);
        assert_eq!((free.futex, free.futex_owner), (Some(BASE), None));
    }

    #[test]
    fn one_of_several_futexes_is_a_futex() {
        let waiter = |address: u64| [1, address, 2].map(u64::to_ne_bytes).concat();
        let two = [waiter(16), waiter(32)].concat();
        let several = described(libc::SYS_futex_waitv, [BASE, 2, 0, 0, 0, 0], &two);
        assert_eq!((several.futex, &several.futexes[..]), (None, &[16, 32][..]));
        let one = described(libc::SYS_futex_waitv, [BASE, 1, 0, 0, 0, 0], &two);
        assert_eq!((one.futex, one.futexes.len()), (Some(16), 0));
        let unreadable = described(libc::SYS_futex_waitv, [BASE, 3, 0, 0, 0, 0], &two);
        assert_eq!((unreadable.futex, unreadable.futexes.len()), (None, 0));
    }

    fn list_of(entries: &[(i32, i16)]) -> Vec<u8> {
        let bytes = |(descriptor, events): &(i32, i16)| {
            [&descriptor.to_ne_bytes()[..], &events.to_ne_bytes(), &[0, 0]].concat()
        };
        entries.iter().flat_map(bytes).collect()
    }

    #[test]
    fn the_descriptors_of_a_poll_are_listed_up_to_a_number() {
        let list =
            list_of(&[(5, libc::POLLIN | libc::POLLRDHUP), (-1, libc::POLLIN), (6, libc::POLLOUT), (7, 0)]);
        let poll = described(libc::SYS_ppoll, [BASE, 4, 0, 0, 0, 0], &list);
        let expected =
            [watched(5, &[Event::Read, Event::Hangup]), watched(6, &[Event::Write]), watched(7, &[])];
        assert_eq!(
            (poll.call.as_str(), &poll.descriptors[..], poll.more_descriptors),
            ("poll", &expected[..], 0)
        );

        let many: Vec<(i32, i16)> = (0..1_000).map(|descriptor| (descriptor, libc::POLLPRI)).collect();
        let poll = described(libc::SYS_ppoll, [BASE, 1_000, 0, 0, 0, 0], &list_of(&many));
        assert_eq!((poll.descriptors.len(), poll.more_descriptors), (8, 992));
        assert_eq!(poll.descriptors[7], watched(7, &[Event::Priority]));

        for count in [1_001, u64::from(u32::MAX), u64::MAX / 8 + 1] {
            let unreadable = described(libc::SYS_ppoll, [BASE, count, 0, 0, 0, 0], &list_of(&many));
            assert_eq!((unreadable.descriptors.len(), unreadable.more_descriptors), (0, 0), "{count}");
        }
    }

    #[test]
    fn the_descriptors_of_a_select_are_the_bits_of_its_sets() {
        // Three sets of 128 bits: read, write, except.
        let mut sets = [0_u64; 6];
        sets[0] = 1 << 3 | 1 << 63;
        sets[1] = 1 << 6;
        sets[2] = 1 << 3;
        sets[5] = 1 << 1;
        let bytes: Vec<u8> = sets.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let select = |count: u64, table_size| {
            let arguments = [count, BASE, BASE + 16, BASE + 32, 0, 0];
            let mut memory = Memory { table_size, ..Memory::from(&bytes[..]) };
            describe(call(libc::SYS_pselect6, arguments), &mut memory)
        };
        let expected = [
            watched(3, &[Event::Read, Event::Write]),
            watched(63, &[Event::Read]),
            watched(65, &[Event::Priority]),
            watched(70, &[Event::Read]),
        ];
        assert_eq!(select(128, Some(256)).descriptors, expected);
        assert_eq!(select(65, Some(256)).descriptors, expected[..2]);
        // What is beyond the descriptor table is not read: there is no memory.
        assert_eq!(select(1_000_000, Some(128)).descriptors, expected);
        assert_eq!(select(1_000_000, Some(4096)).descriptors, []);
        assert_eq!(select(u64::from(u32::MAX), Some(128)).descriptors, [], "a negative count");
        let only_write = described(libc::SYS_pselect6, [64, 0, BASE, 0, 0, 0], &8_u64.to_ne_bytes());
        assert_eq!(only_write.descriptors, [watched(3, &[Event::Write])]);
    }

    #[test]
    fn a_call_that_moves_data_waits_for_the_side_that_the_kernel_function_tells() {
        let splice = |kernel_function| {
            let mut memory = Memory { kernel_function, ..Memory::default() };
            describe(call(libc::SYS_splice, [5, 0, 6, 0, 0, 0]), &mut memory).descriptors
        };
        let both = [watched(5, &[Event::Read]), watched(6, &[Event::Write])];
        assert_eq!(splice(Some("pipe_wait_readable")), both[..1]);
        assert_eq!(splice(Some("pipe_wait_writable.isra.0")), both[1..]);
        assert_eq!(splice(Some("wait_woken")), both);
        assert_eq!(splice(None), both);
        let sides = |number, arguments| described(number, arguments, &[]).descriptors;
        assert_eq!(sides(libc::SYS_sendfile, [6, 5, 0, 0, 0, 0]), both);
        assert_eq!(sides(libc::SYS_tee, [5, 6, 0, 0, 0, 0]), both);
        assert_eq!(sides(libc::SYS_copy_file_range, [5, 0, 6, 0, 0, 0]), both);
    }

    #[test]
    fn children_are_told_apart_by_the_argument() {
        let children = |number, first: i32, second: i32| {
            let arguments = [first, second, 0, 0, 0, 0].map(|argument| u64::from(argument.cast_unsigned()));
            described(number, arguments, &[]).children
        };
        let one = Some(Children::One { pid: 7, name: None });
        assert_eq!(children(libc::SYS_wait4, 7, 0), one);
        assert_eq!(children(libc::SYS_wait4, -1, 0), Some(Children::Any));
        assert_eq!(children(libc::SYS_wait4, 0, 0), Some(Children::OwnGroup));
        assert_eq!(children(libc::SYS_wait4, -7, 0), Some(Children::Group { id: 7 }));
        assert_eq!(children(libc::SYS_wait4, i32::MIN, 0), Some(Children::Group { id: 1 << 31 }));
        assert_eq!(children(libc::SYS_waitid, 0, 3), Some(Children::Any));
        assert_eq!(children(libc::SYS_waitid, 1, 7), one);
        assert_eq!(children(libc::SYS_waitid, 2, 7), Some(Children::Group { id: 7 }));
        assert_eq!(children(libc::SYS_waitid, 2, 0), Some(Children::OwnGroup));
        let of_descriptor = described(libc::SYS_waitid, [3, 9, 0, 0, 0, 0], &[]);
        assert_eq!((of_descriptor.children, of_descriptor.descriptor), (None, Some(9)));
    }

    #[test]
    fn a_clone_that_waits_is_a_vfork() {
        let flags = libc::CLONE_VFORK as u64;
        assert_eq!(described(libc::SYS_clone, [flags, 0, 0, 0, 0, 0], &[]).call, "vfork");
        assert_eq!(described(libc::SYS_clone, [0; 6], &[]).call, "clone");
        assert_eq!(described(libc::SYS_clone3, [BASE, 88, 0, 0, 0, 0], &flags.to_ne_bytes()).call, "vfork");
        assert_eq!(described(libc::SYS_clone3, [BASE, 88, 0, 0, 0, 0], &[]).call, "clone3");
    }

    #[test]
    fn a_path_is_shown_with_the_directory_it_is_relative_to() {
        let open = |directory: i32, path: &[u8]| {
            let directory = u64::from(directory.cast_unsigned());
            described(libc::SYS_openat, [directory, BASE, 0, 0, 0, 0], path)
        };
        let shown = |waiting: Waiting| (waiting.path, waiting.descriptor);
        assert_eq!(shown(open(libc::AT_FDCWD, b"a fifo\0")), (Some("a fifo".into()), None));
        assert_eq!(shown(open(5, b"a fifo\0rest")), (Some("a fifo".into()), Some(5)));
        assert_eq!(shown(open(5, b"/run/fifo\0")), (Some("/run/fifo".into()), None));
        assert_eq!(shown(open(5, b"\xff\0")), (Some("\u{fffd}".into()), Some(5)));
        assert_eq!(shown(open(5, b"\0")), (None, Some(5)), "the descriptor itself");
        assert_eq!(shown(open(5, b"no end")), (None, None));
        assert_eq!(shown(open(5, &[b'x'; MAX_PATH])), (None, None), "too long");
        let secret = open(libc::AT_FDCWD, b"/mnt/password=hunter2\0");
        assert_eq!(secret.path.as_deref(), Some("/mnt/password=***"));
        let link = described(libc::SYS_symlinkat, [0, 5, BASE, 0, 0, 0], b"link\0");
        assert_eq!(shown(link), (Some("link".into()), Some(5)));
    }

    #[test]
    fn the_peer_of_a_connect_is_read_from_its_address() {
        let connect = |family: i32, rest: &[u8]| {
            let family = u16::try_from(family).unwrap().to_ne_bytes();
            let bytes = [&family[..], rest].concat();
            described(libc::SYS_connect, [5, BASE, bytes.len() as u64, 0, 0, 0], &bytes).peer
        };
        let is = |peer: &str| Some(peer.to_owned());
        assert_eq!(connect(libc::AF_INET, &[0, 80, 10, 0, 0, 1]), is("10.0.0.1:80"));
        let loopback = [&[0, 80, 0, 0, 0, 0][..], &Ipv6Addr::LOCALHOST.octets()].concat();
        assert_eq!(connect(libc::AF_INET6, &loopback), is("[::1]:80"));
        assert_eq!(connect(libc::AF_UNIX, b"/run/shop.sock\0rest"), is("/run/shop.sock"));
        assert_eq!(connect(libc::AF_UNIX, b"\0shop"), is("@shop"));
        assert_eq!(connect(libc::AF_UNIX, b""), None);
        let numbers = |numbers: [u32; 2]| [&[0, 0][..], &numbers.map(u32::to_ne_bytes).concat()].concat();
        assert_eq!(connect(libc::AF_NETLINK, &numbers([7, 0])), is("netlink port 7"));
        assert_eq!(connect(libc::AF_VSOCK, &numbers([80, 2])), is("vsock 2:80"));
        for (family, rest) in [(libc::AF_INET, &[0, 80][..]), (libc::AF_INET6, &[0; 8]), (99, &[0; 8])] {
            assert_eq!(connect(family, rest), None);
        }
        let send = described(libc::SYS_sendto, [5, 0, 0, 0, 0, 16], &[]);
        assert_eq!((send.peer, send.descriptor), (None, Some(5)));
    }

    proptest! {
        #[test]
        fn any_arguments_and_memory_are_described_without_panics(
            number in 0..500_i64,
            arguments in proptest::array::uniform6(prop_oneof![
                Just(BASE), 0..200_u64, Just(u64::from(u32::MAX)), any::<u64>(),
            ]),
            bytes in proptest::collection::vec(any::<u8>(), 0..6_000),
            table_size in proptest::option::of(any::<u64>()),
        ) {
            let mut memory = Memory { bytes, table_size, kernel_function: None };
            let waiting = describe(call(number, arguments), &mut memory);
            prop_assert!(!waiting.call.is_empty());
            prop_assert!(waiting.descriptors.len() <= MAX_DESCRIPTORS);
        }
    }
}
