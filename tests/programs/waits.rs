//! A thread for each kind of wait, named after its call. The program answers with what a report is
//! expected to say of each: the fields of `waiting` that it knows itself, or why the thread is
//! missing.

#![allow(unsafe_code, reason = "safe Rust does not offer most of these calls")]

use std::collections::BTreeMap;
use std::ffi::{CString, c_long};
use std::fs;
use std::io::{PipeReader, PipeWriter, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::ptr::{null, null_mut};
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

/// What is expected of each thread's `waiting`, by the thread's name.
type Expected = BTreeMap<&'static str, Value>;

#[gmr::main]
fn main() {
    let directory = std::env::temp_dir().join(format!("waits of {}", std::process::id()));
    fs::create_dir(&directory).expect("a new directory");
    let mut cleanup = Cleanup::new(&directory);
    let mut expected = Expected::new();
    descriptors(&mut expected);
    moves(&mut expected);
    futexes(&mut expected);
    processes(&mut expected);
    queues(&mut expected, &mut cleanup);
    paths(&mut expected, &directory);
    sockets(&mut expected, &directory);
    let expected = json!(expected).to_string();
    gmr_tests::converse(|_| expected.clone());
}

/// Starts a thread that waits in `call` whenever it is not disturbed.
fn wait_in(name: &'static str, mut call: impl FnMut() + Send + 'static) -> u32 {
    let (sender, receiver) = mpsc::channel();
    let run = move || {
        sender.send(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()).expect("it is received");
        loop {
            call();
        }
    };
    thread::Builder::new().name(name.into()).spawn(run).expect("a thread");
    receiver.recv().expect("the thread starts")
}

/// Makes a system call with these arguments. Its result is of no interest: it waits, or is
/// interrupted.
fn system_call(number: c_long, arguments: [u64; 6]) -> c_long {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: the callers pass descriptors and memory that are never closed or freed.
    unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) }
}

/// Starts a thread that waits in this system call.
fn wait_in_call(name: &'static str, number: c_long, arguments: [u64; 6]) {
    wait_in(name, move || _ = system_call(number, arguments));
}

/// Memory that is never freed, for calls that point to it.
fn forever<T: ?Sized>(value: Box<T>) -> &'static mut T {
    Box::leak(value)
}

fn address<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>() as u64
}

fn argument(descriptor: RawFd) -> u64 {
    u64::from(descriptor.cast_unsigned())
}

/// A pipe, never closed.
fn pipe() -> (RawFd, RawFd) {
    let (reader, writer): (PipeReader, PipeWriter) = std::io::pipe().expect("a pipe");
    let ends = (reader.as_raw_fd(), writer.as_raw_fd());
    std::mem::forget((reader, writer));
    ends
}

/// A pipe without space for another byte.
fn full_pipe() -> (RawFd, RawFd) {
    let (reader, writer) = pipe();
    // SAFETY: the descriptor is open, and never closed.
    let mut file = fs::File::from(unsafe { OwnedFd::from_raw_fd(writer) });
    // SAFETY: asks for the size of the pipe's buffer.
    let size = unsafe { libc::fcntl(writer, libc::F_GETPIPE_SZ) };
    file.write_all(&vec![0; usize::try_from(size).expect("a size")]).expect("there is space");
    std::mem::forget(file);
    (reader, writer)
}

fn target(descriptor: RawFd) -> String {
    fs::read_link(format!("/proc/self/fd/{descriptor}")).expect("it is open").to_string_lossy().into_owned()
}

fn watched(descriptor: RawFd, events: &[&str]) -> Value {
    json!({"descriptor": descriptor, "target": target(descriptor), "events": events})
}

/// Calls that wait for one of several descriptors.
fn descriptors(expected: &mut Expected) {
    let (reader, writer) = (pipe().0, full_pipe().1);
    let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let list =
        [entry(reader, libc::POLLIN | libc::POLLPRI), entry(-1, libc::POLLIN), entry(writer, libc::POLLOUT)];
    let list = forever(Box::new(list));
    // SAFETY: the list is valid, and no other thread uses it.
    wait_in("poll", move || _ = unsafe { libc::poll(list.as_mut_ptr(), 3, -1) });
    let both = json!([watched(reader, &["read", "priority"]), watched(writer, &["write"])]);
    expected.insert("poll", json!({"call": "poll", "descriptors": both, "more_descriptors": 0}));

    let readers: Vec<RawFd> = (0..12).map(|_| pipe().0).collect();
    let list: Vec<libc::pollfd> =
        readers.iter().map(|fd| entry(*fd, libc::POLLIN | libc::POLLRDHUP)).collect();
    let list = forever(list.into_boxed_slice());
    // SAFETY: as above.
    wait_in("ppoll", move || _ = unsafe { libc::ppoll(list.as_mut_ptr(), 12, null(), null()) });
    let first: Vec<Value> = readers[..8].iter().map(|fd| watched(*fd, &["read", "hangup"])).collect();
    expected.insert("ppoll", json!({"call": "poll", "descriptors": first, "more_descriptors": 4}));

    // Beyond the first word of the sets.
    // SAFETY: duplicates an open descriptor to an unused number.
    let far = unsafe { libc::fcntl(pipe().0, libc::F_DUPFD_CLOEXEC, 200) };
    let all = [(reader, 0), (far, 0), (writer, 1), (far, 2)];
    let set_up = move |sets: &mut [libc::fd_set; 3]| {
        for (descriptor, set) in all {
            // SAFETY: the number is within the set.
            unsafe { libc::FD_SET(descriptor, &raw mut sets[set]) };
        }
    };
    // SAFETY: a set of zeros is empty.
    let sets = || forever(Box::new(unsafe { std::mem::zeroed::<[libc::fd_set; 3]>() }));
    let mut watched =
        [watched(reader, &["read"]), watched(writer, &["write"]), watched(far, &["read", "priority"])];
    watched.sort_by_key(|watched| watched["descriptor"].as_i64());
    let of_select = json!({"call": "select", "descriptors": watched, "more_descriptors": 0});
    for name in ["select", "pselect"] {
        let sets = sets();
        wait_in(name, move || {
            // The kernel has written the result of the last time to them.
            set_up(sets);
            let [read, write, except] = sets;
            // SAFETY: the sets are valid, and no other thread uses them.
            unsafe {
                match name {
                    "select" => libc::select(far + 1, read, write, except, null_mut()),
                    _ => libc::pselect(far + 1, read, write, except, null(), null()),
                }
            };
        });
        expected.insert(name, of_select.clone());
    }

    for (name, number, descriptor) in [
        ("preadv2", libc::SYS_preadv2, pipe().0),
        ("pwritev2", libc::SYS_pwritev2, full_pipe().1),
        ("vmsplice", libc::SYS_vmsplice, full_pipe().1),
    ] {
        let buffer = forever(Box::new([0_u8; 8]));
        let part = libc::iovec { iov_base: std::ptr::from_mut(buffer).cast(), iov_len: 8 };
        let part = address(forever(Box::new(part)));
        // `vmsplice` has no offset: 0 are its flags. For the others, -1 is the current position.
        let offset = if name == "vmsplice" { 0 } else { u64::MAX };
        wait_in_call(name, number, [argument(descriptor), part, 1, offset, u64::MAX, 0]);
        let target = target(descriptor);
        expected.insert(name, json!({"call": name, "descriptor": descriptor, "target": target}));
    }
}

/// Calls that move data from one descriptor to another. Which of the two each waits for
/// is in its name.
fn moves(expected: &mut Expected) {
    // SAFETY: the path ends with a zero.
    let file = unsafe { libc::open(c"/proc/self/exe".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    let (empty, full, space) = (pipe().0, full_pipe().1, pipe().1);
    let data = full_pipe().0;
    let splice = |from, to| [argument(from), 0, argument(to), 0, 16, 0];
    let tee = |from, to| [argument(from), argument(to), 16, 0, 0, 0];
    for (name, call, number, arguments, awaited) in [
        ("splice-in", "splice", libc::SYS_splice, splice(empty, space), (empty, "read")),
        ("splice-out", "splice", libc::SYS_splice, splice(data, full), (full, "write")),
        ("tee-in", "tee", libc::SYS_tee, tee(empty, space), (empty, "read")),
        (
            "sendfile-out",
            "sendfile",
            libc::SYS_sendfile,
            [argument(full), argument(file), 0, 16, 0, 0],
            (full, "write"),
        ),
    ] {
        wait_in_call(name, number, arguments);
        let awaited = watched(awaited.0, &[awaited.1]);
        expected.insert(name, json!({"call": call, "awaited": awaited}));
    }
}

fn word() -> &'static mut u32 {
    forever(Box::new(0))
}

/// Why a thread is missing: the kernel does not have or allow its call.
fn skipped(problem: &str) -> Value {
    json!({"skipped": format!("{problem}: {}", std::io::Error::last_os_error())})
}

/// Starts a thread in this call, if the kernel has it.
fn wait_if_known(
    expected: &mut Expected,
    name: &'static str,
    (number, arguments): (c_long, [u64; 6]),
    waiting: Value,
) {
    let invalid = system_call(number, [0; 6]);
    let error = std::io::Error::last_os_error();
    if invalid == -1 && error.raw_os_error() == Some(libc::ENOSYS) {
        expected.insert(name, skipped(name));
    } else {
        wait_in_call(name, number, arguments);
        expected.insert(name, waiting);
    }
}

fn futexes(expected: &mut Expected) {
    let private = |operation: i32| argument(operation | libc::FUTEX_PRIVATE_FLAG);
    let lock = address(word());
    let (sender, receiver) = mpsc::channel();
    let owner = wait_in("owner", move || {
        system_call(libc::SYS_futex, [lock, private(libc::FUTEX_LOCK_PI), 0, 0, 0, 0]);
        let _ = sender.send(());
        loop {
            thread::park();
        }
    });
    receiver.recv().expect("it has the lock");
    let owner = json!({"tid": owner, "name": "owner"});
    let waiting = json!({"call": "futex", "futex": lock, "futex_others": 1, "futex_owner": owner});
    for name in ["lock_pi-1", "lock_pi-2"] {
        let arguments = [lock, private(libc::FUTEX_LOCK_PI), 0, 0, 0, 0];
        wait_in_call(name, libc::SYS_futex, arguments);
        expected.insert(name, waiting.clone());
    }

    let (condition, lock) = (address(word()), address(word()));
    let arguments = [condition, private(libc::FUTEX_WAIT_REQUEUE_PI), 0, 0, lock, 0];
    wait_in_call("requeue_pi", libc::SYS_futex, arguments);
    expected.insert("requeue_pi", json!({"call": "futex", "futex": condition, "requeue_futex": lock}));

    let words = [address(word()), address(word())];
    let waiters = address(forever(Box::new(words.map(|word| [0, word, SIZE_U32_PRIVATE]))));
    let call = (libc::SYS_futex_waitv, [waiters, 2, 0, 0, 0, 0]);
    let waiting = json!({"call": "futex_waitv", "futex": null, "futexes": words});
    wait_if_known(expected, "futex_waitv", call, waiting);

    let word = address(word());
    let call = (SYS_FUTEX_WAIT, [word, 0, u64::from(u32::MAX), SIZE_U32_PRIVATE, 0, 0]);
    let waiting = json!({"call": "futex_wait", "futex": word, "futex_others": 0});
    wait_if_known(expected, "futex_wait", call, waiting);
}

/// `libc` does not have it yet.
const SYS_FUTEX_WAIT: c_long = 455;

/// `FUTEX2_SIZE_U32 | FUTEX2_PRIVATE`
const SIZE_U32_PRIVATE: u64 = 0x82;

/// A child that ends when this process does: its input ends then.
fn child(own_group: bool) -> Child {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    if !own_group {
        command.process_group(0);
    }
    let child = command.spawn().expect("a child");
    // The parent goes on before the child has the program's name.
    let name = format!("/proc/{}/comm", child.id());
    while fs::read_to_string(&name).expect("the child lives") != "cat\n" {
        thread::yield_now();
    }
    child
}

/// A thread waits for each of these children.
fn processes(expected: &mut Expected) {
    let children = forever(Box::new([child(true), child(false)]));
    let [one, leader] = children.each_ref().map(Child::id);
    let signed = |pid: u32| pid.cast_signed();
    let named = json!({"kind": "one", "pid": one, "name": "cat"});
    for (name, argument, children) in [
        ("wait-one", signed(one), named.clone()),
        ("wait-any", -1, json!({"kind": "any"})),
        ("wait-group", -signed(leader), json!({"kind": "group", "id": leader})),
        ("wait-own-group", 0, json!({"kind": "own_group"})),
    ] {
        // SAFETY: no status is written.
        wait_in(name, move || _ = unsafe { libc::waitpid(argument, null_mut(), 0) });
        expected.insert(name, json!({"call": "wait", "children": children}));
    }
    let descriptor = system_call(libc::SYS_pidfd_open, [u64::from(one), 0, 0, 0, 0, 0]);
    let kind = u64::from(libc::P_PIDFD);
    let call = (libc::SYS_waitid, [kind, descriptor.cast_unsigned(), 0, argument(libc::WEXITED), 0, 0]);
    let waiting = json!({"call": "wait", "children": named, "descriptor": descriptor});
    wait_if_known(expected, "waitid", call, waiting);

    let (reader, writer) = pipe();
    wait_in("vfork", move || {
        let flags = argument(libc::CLONE_VFORK | libc::SIGCHLD);
        if system_call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]) == 0 {
            // In the child, which has memory of its own: waits until the parent has ended.
            // SAFETY: these functions may be called after a fork.
            unsafe {
                libc::close(writer);
                libc::read(reader, [0_u8; 1].as_mut_ptr().cast(), 1);
                libc::_exit(0);
            }
        }
    });
    expected.insert("vfork", json!({"call": "vfork"}));
}

/// Removes what outlives this process: a shell does so when its input ends, that is, when this
/// process and the child of its `vfork` have ended, in whatever way.
struct Cleanup {
    shell: Child,
}

impl Cleanup {
    fn new(directory: &Path) -> Self {
        let mut shell = Command::new("sh");
        let script = r#"while read command; do all="$all $command"; done; eval "$all"; rm -r "$1""#;
        shell.args(["-c", script, "sh"]).arg(directory).stdin(Stdio::piped()).stderr(Stdio::null());
        Self { shell: shell.process_group(0).spawn().expect("a shell") }
    }

    fn run_at_end(&mut self, command: &str) {
        let input = self.shell.stdin.as_mut().expect("it is open");
        writeln!(input, "{command};").expect("the shell reads");
    }
}

/// Message queues and semaphores.
fn queues(expected: &mut Expected, cleanup: &mut Cleanup) {
    let name = CString::new(format!("/gmr-waits-{}", std::process::id())).expect("no zero in it");
    let attributes = forever(Box::new([0_i64, 1, 8, 0, 0, 0, 0, 0]));
    for (thread, number, flags) in
        [("mq_timedreceive", libc::SYS_mq_timedreceive, 0), ("mq_timedsend", libc::SYS_mq_timedsend, 1)]
    {
        let access = argument(libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC);
        // The system call takes the name without its slash.
        let path = address(name.as_bytes_with_nul()) + 1;
        let queue = system_call(libc::SYS_mq_open, [path, access, 0o600, address(attributes), 0, 0]);
        if queue < 0 {
            expected.insert(thread, skipped("no POSIX message queue"));
            continue;
        }
        system_call(libc::SYS_mq_unlink, [path, 0, 0, 0, 0, 0]);
        let buffer = address(forever(Box::new([0_u8; 8])));
        let arguments = [queue.cast_unsigned(), buffer, 8, 0, 0, 0];
        if flags == 1 {
            system_call(number, arguments);
        }
        wait_in_call(thread, number, arguments);
        let target = target(i32::try_from(queue).expect("a descriptor"));
        expected.insert(thread, json!({"call": thread, "descriptor": queue, "target": target}));
    }

    // SAFETY: makes a queue and a set of semaphores.
    let (queue, set) =
        unsafe { (libc::msgget(libc::IPC_PRIVATE, 0o600), libc::semget(libc::IPC_PRIVATE, 1, 0o600)) };
    if queue < 0 || set < 0 {
        for thread in ["msgrcv", "msgsnd", "semop", "semtimedop"] {
            expected.insert(thread, skipped("no System V queue or semaphore"));
        }
        return;
    }
    cleanup.run_at_end(&format!("ipcrm -q {queue} -s {set}"));
    let message = address(forever(Box::new([2_u64, 0])));
    // Of another type than any message of the queue.
    wait_in_call("msgrcv", libc::SYS_msgrcv, [argument(queue), message, 8, 1, 0, 0]);
    let operation = address(forever(Box::new(libc::sembuf { sem_num: 0, sem_op: -1, sem_flg: 0 })));
    wait_in_call("semtimedop", libc::SYS_semtimedop, [argument(set), operation, 1, 0, 0, 0]);
    wait_in_call("semop", libc::SYS_semop, [argument(set), operation, 1, 0, 0, 0]);
    expected.insert("msgrcv", json!({"call": "msgrcv", "ipc": queue}));
    expected.insert("semtimedop", json!({"call": "semtimedop", "ipc": set}));
    expected.insert("semop", json!({"call": "semop", "ipc": set}));
    // Sends until the queue is full.
    wait_in_call("msgsnd", libc::SYS_msgsnd, [argument(queue), message, 8, 0, 0, 0]);
    expected.insert("msgsnd", json!({"call": "msgsnd", "ipc": queue}));
}

fn c_string(path: &Path) -> &'static CString {
    forever(Box::new(CString::new(path.as_os_str().as_bytes()).expect("no zero in it")))
}

/// Calls that wait for a file that they name.
fn paths(expected: &mut Expected, directory: &Path) {
    let fifo = |name: &str| -> PathBuf {
        let path = directory.join(name);
        // SAFETY: the path ends with a zero.
        unsafe { libc::mkfifo(c_string(&path).as_ptr(), 0o600) };
        path
    };
    let path = fifo("fifo");
    let absolute = c_string(&path);
    // SAFETY: the path ends with a zero.
    wait_in("open", move || _ = unsafe { libc::open(absolute.as_ptr(), libc::O_RDONLY) });
    expected.insert("open", json!({"call": "open", "path": path, "descriptor": null}));

    fifo("another\u{1b}[1m");
    let relative = c_string(Path::new("another\u{1b}[1m"));
    // SAFETY: the path ends with a zero.
    let parent = unsafe { libc::open(c_string(directory).as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    let arguments = [argument(parent), relative.as_ptr() as u64, argument(libc::O_WRONLY), 0, 0, 0];
    wait_in_call("openat", libc::SYS_openat, arguments);
    let relative = relative.to_str().expect("it was text");
    expected.insert(
        "openat",
        json!({"call": "open", "path": relative, "descriptor": parent, "target": directory}),
    );

    let how = address(forever(Box::new([0_u64; 3])));
    let call = (libc::SYS_openat2, [argument(libc::AT_FDCWD), absolute.as_ptr() as u64, how, 24, 0, 0]);
    let waiting = json!({"call": "open", "path": path, "descriptor": null});
    wait_if_known(expected, "openat2", call, waiting);
}

fn sockets(expected: &mut Expected, directory: &Path) {
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).expect("a free path");
    // SAFETY: the descriptor is open.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    std::mem::forget(listener);
    std::mem::forget(UnixStream::connect(&path).expect("there is space for one"));
    let connecting = path.clone();
    wait_in("connect", move || drop(UnixStream::connect(&connecting)));
    expected.insert("connect", json!({"call": "connect", "peer": path}));

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let accepting = listener.local_addr().expect("it has one");
    wait_in("accept", move || drop(listener.accept()));
    let target = format!("TCP {accepting}, listening");
    expected.insert("accept", json!({"call": "accept", "target": target}));

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it has one");
    wait_in("udp", move || drop(socket.recv(&mut [0])));
    expected.insert("udp", json!({"call": "recvfrom", "target": format!("UDP {address}")}));

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(address).expect("UDP sends nothing");
    let local = socket.local_addr().expect("it has one");
    wait_in("udp-peer", move || drop(socket.recv(&mut [0])));
    expected
        .insert("udp-peer", json!({"call": "recvfrom", "target": format!("UDP {local}, peer {address}")}));

    for (name, family, kind, protocol, start) in [
        ("netlink", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE, "netlink route, port "),
        ("unbound", libc::AF_INET, libc::SOCK_DGRAM, 0, "UDP socket ["),
    ] {
        // SAFETY: makes a socket.
        let socket = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
        assert!(socket >= 0, "{name}: {}", std::io::Error::last_os_error());
        if family == libc::AF_NETLINK {
            // SAFETY: zeros are an address whose port the kernel chooses.
            let mut local: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            local.nl_family = u16::try_from(family).expect("it is small");
            let length = u32::try_from(size_of_val(&local)).expect("it is small");
            // SAFETY: the address is valid.
            unsafe { libc::bind(socket, (&raw const local).cast(), length) };
        }
        let buffer = self::address(forever(Box::new([0_u8; 8])));
        wait_in_call(name, libc::SYS_recvfrom, [argument(socket), buffer, 8, 0, 0, 0]);
        expected.insert(name, json!({"call": "recvfrom", "descriptor": socket, "target_start": start}));
    }
}
