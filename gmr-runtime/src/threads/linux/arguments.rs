//! What the arguments of a system call say about the wait: a descriptor, a futex, a path, a child.
//!
//! Some arguments point to memory, which the caller makes available as a [`Source`]: this file does
//! no I/O. Calls are identified by name, since numbers differ between architectures.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::source::{Source, int, number, read_words};
use super::syscalls::Call;
use super::watched::{moved, polled, selected};
use super::{sockets, syscall_names};
use crate::model::{Children, FutexOwner, Waiting};

/// The kernel's limit on the length of a path, with the final zero.
const MAX_PATH: usize = 4096;

/// The call by name, and what it waits for. What its descriptors refer to and the names of other
/// threads and processes are not yet looked up.
pub(super) fn describe(call: Call, source: &mut impl Source) -> Waiting {
    let Some(name) = syscall_names::name(call.number) else {
        return Waiting { call: format!("system call {}", call.number), ..Waiting::default() };
    };
    let name = if name == "restart_syscall" { restarted(source).unwrap_or(name) } else { name };
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

/// The call that a thread goes on with after a signal has interrupted it, such as those that stop
/// and continue the process, or a debugger's. Linux does that for calls with a timeout: the number
/// is another one, and the arguments are the same. The kernel function that the thread sleeps in
/// tells which call it is: a futex's, `poll`, or one that only sleeps. There are no others
/// (`set_restart_fn` in the kernel).
fn restarted(source: &mut impl Source) -> Option<&'static str> {
    let function = source.kernel_function()?;
    Some(match function {
        function if function.contains("futex") => "futex",
        function if function.contains("poll") => "poll",
        _ => "nanosleep",
    })
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
    let path = (!path.is_empty()).then(|| gmr_mask::text(&path).into_owned());
    Waiting { descriptor, path, ..waiting }
}

/// The path at `address`. `None` if it does not end within the length that the kernel allows.
fn path(address: u64, source: &mut impl Source) -> Option<String> {
    /// The smallest page size there is. What follows the path may not be in memory.
    const PAGE: u64 = 4 << 10;
    let mut buffer = [0; MAX_PATH];
    let mut read = 0;
    let length = loop {
        let at = address.checked_add(read as u64)?;
        let in_page = usize::try_from(PAGE - at % PAGE).unwrap_or(MAX_PATH);
        let part = buffer[read..].get_mut(..in_page.min(MAX_PATH - read)).filter(|part| !part.is_empty())?;
        let wanted = part.len();
        let copied = source.read(at, part);
        if let Some(end) = part[..copied].iter().position(|byte| *byte == 0) {
            break read + end;
        }
        if copied < wanted {
            return None;
        }
        read += copied;
    };
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// `futex(address, operation, value, timeout, address2, ..)`. An operation that does not wait, for
/// example one that wakes other threads, waits for no futex.
fn futex(arguments: [u64; 6], source: &mut impl Source, waiting: Waiting) -> Waiting {
    let futex = Some(arguments[0]);
    match int(arguments[1]) & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET => {
            let is_shared = int(arguments[1]) & libc::FUTEX_PRIVATE_FLAG == 0;
            let joins = if is_shared { joined(arguments, source) } else { None };
            Waiting { futex, joins, futex_owner: robust_owner(arguments, source), ..waiting }
        }
        libc::FUTEX_LOCK_PI | FUTEX_LOCK_PI2 => {
            Waiting { futex, futex_owner: owner(arguments[0], source), ..waiting }
        }
        libc::FUTEX_WAIT_REQUEUE_PI => Waiting { futex, requeue_futex: Some(arguments[4]), ..waiting },
        _ => waiting,
    }
}

/// The thread that a thread waits for to end. In glibc, it waits until the kernel clears the word
/// with the other thread's id, which is the value that it expects there.
///
/// The name of glibc's function is in no table of the library, so the word is recognized by where
/// it is: in the thread's control block, which begins with two pointers to itself.
fn joined(arguments: [u64; 6], source: &mut impl Source) -> Option<u32> {
    /// The offset of `tid` in glibc's `struct pthread`, the same in all its versions.
    const TID: u64 = 0x2d0;
    let (word, expected, timeout) = (arguments[0], int(arguments[2]), arguments[3]);
    if cfg!(not(all(target_arch = "x86_64", target_env = "gnu"))) || timeout != 0 || expected <= 0 {
        return None;
    }
    let block = word.checked_sub(TID)?;
    // The two are the block's own address (`tcb`) and `self`; between them is `dtv`.
    let mut words = [0; 3];
    let is_block = read_words(block, &mut words, source) && [words[0], words[2]] == [block; 2];
    let mut tid = [0; 4];
    let is_same = source.read(word, &mut tid) == tid.len() && i32::from_ne_bytes(tid) == expected;
    (is_block && is_same).then_some(expected.cast_unsigned())
}

/// The thread that holds a robust mutex of glibc, whose word names it. The mutex also has the same
/// id as its owner, and its kind, which together tell it from other words.
fn robust_owner(arguments: [u64; 6], source: &mut impl Source) -> Option<FutexOwner> {
    /// `FUTEX_WAITERS`
    const WAITERS: u32 = 1 << 31;
    /// The first of four kinds, of which glibc calls the first `PTHREAD_MUTEX_ROBUST_NORMAL_NP`.
    const ROBUST: u32 = 16;
    const SHARED: u32 = 128;
    let expected = int(arguments[2]).cast_unsigned();
    let tid = expected.checked_sub(WAITERS)?;
    if cfg!(not(target_env = "gnu")) {
        return None;
    }
    // The word, a count, the owner, the number of users, the kind.
    let mut bytes = [0; 20];
    if source.read(arguments[0], &mut bytes) < bytes.len() {
        return None;
    }
    let field = |index: usize| bytes.chunks_exact(4).nth(index).and_then(|field| field.try_into().ok());
    let field = |index| field(index).map(u32::from_ne_bytes);
    let is_robust = field(4).is_some_and(|kind| kind & !(SHARED | 3) == ROBUST);
    let is_owner = tid != 0 && field(0) == Some(expected) && field(2) == Some(tid);
    (is_robust && is_owner).then_some(FutexOwner { tid, name: None })
}

/// `libc` has it for some targets only.
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
    /// The size of `sockaddr_storage`. The kernel accepts nothing longer.
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

#[cfg(test)]
mod tests;
