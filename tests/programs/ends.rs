//! A program that is near an end, or waits for a peer that does not answer, in the way that its
//! argument names; or a healthy one that looks like it.

#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// The limit of descriptors, and of addresses.
const DESCRIPTORS: u64 = 256;
const ADDRESSES: u64 = 16 << 30;
/// The limit of the main thread's stack.
const STACK: usize = 8 << 20;
/// How many threads it starts beside gmr's to come near a limit of threads.
const THREADS: usize = 100;

fn limit(resource: libc::__rlimit_resource_t, soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid.
    let result = unsafe {
        libc::getrlimit(resource, &raw mut limit);
        limit.rlim_cur = soft;
        libc::setrlimit(resource, &raw const limit)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// How many descriptors are open, without the one that counts them.
fn open_descriptors() -> u64 {
    fs::read_dir("/proc/self/fd").expect("it is there").count() as u64 - 1
}

/// Opens files until this many descriptors are open, or no more can be.
fn open_files(until: u64) -> Vec<File> {
    let mut files = Vec::new();
    while open_descriptors() < until {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(_) => break,
        }
    }
    files
}

/// Opens files until no more can be opened.
fn use_up() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Maps this many bytes of addresses, without memory behind them.
fn map(bytes: u64) {
    let bytes = usize::try_from(bytes).expect("a size");
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping changes no other memory.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, kind, -1, 0) };
    assert_ne!(mapped, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
}

/// A listening socket, and connections that wait to be accepted: this many beyond its limit.
fn listener(beyond: usize) -> (TcpListener, Vec<TcpStream>) {
    const BACKLOG: u8 = 16;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    // SAFETY: it takes no pointers. To listen again changes the limit.
    let result = unsafe { libc::listen(listener.as_raw_fd(), BACKLOG.into()) };
    assert_eq!(result, 0);
    let address = listener.local_addr().expect("it has one");
    let waiting =
        (0..usize::from(BACKLOG) + beyond).map(|_| TcpStream::connect(address).expect("there is space"));
    let waiting = waiting.collect();
    (listener, waiting)
}

/// Threads that each ask the server of this address, and wait for its answer.
fn ask(server: SocketAddr, threads: usize) {
    for thread in 0..threads {
        gmr_tests::start_named(&format!("client {thread}"), move || {
            let mut stream = TcpStream::connect(server).expect("it listens");
            stream.write_all(b"how much?").expect("there is space");
            gmr_tests::arrive();
            wait_for_answer(&mut stream);
        });
    }
}

#[inline(never)]
fn wait_for_answer(stream: &mut TcpStream) {
    // It never comes.
    drop(stream.read(&mut [0]));
}

/// A server that accepts connections and does not answer.
fn silent_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    gmr_tests::start_named("server", move || {
        let mut accepted = Vec::new();
        loop {
            accepted.push(listener.accept());
        }
    });
    address
}

/// What threads wait for while one of them asks another process.
static STOCK: Mutex<u64> = Mutex::new(0);

#[inline(never)]
fn ask_while_locked(stream: &mut impl Read) {
    let mut stock = STOCK.lock().expect("no thread panics");
    gmr_tests::arrive();
    let mut answer = [0];
    // It never comes.
    drop(stream.read(&mut answer));
    *stock += u64::from(answer[0]);
}

#[inline(never)]
fn take_stock() {
    *STOCK.lock().expect("no thread panics") += 1;
}

/// Starts another process that serves as `kind` says, and a thread that asks it while it holds a lock.
fn ask_other_process(kind: &str) -> Child {
    let program = std::env::current_exe().expect("it is known");
    let mut server = Command::new(program);
    server.arg(kind).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = server.spawn().expect("it starts");
    let mut address = String::new();
    let said = BufReader::new(server.stdout.take().expect("it is piped")).read_line(&mut address);
    said.expect("it says where it is");
    let address = address.trim_end().to_owned();
    let is_unix = kind == "serve-unix";
    gmr_tests::start_named("holder", move || {
        if is_unix {
            ask_while_locked(&mut UnixStream::connect(address).expect("it listens"));
        } else {
            ask_while_locked(&mut TcpStream::connect(address).expect("it listens"));
        }
    });
    server
}

/// Serves one client, which gets no answer, until standard input is closed.
fn serve(kind: &str) {
    let path = std::env::temp_dir().join(format!("gmr-ends-{}.sock", std::process::id()));
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let unix = UnixListener::bind(&path).expect("the path is free");
    if kind == "serve-unix" {
        println!("{}", path.display());
    } else {
        println!("{}", tcp.local_addr().expect("it has one"));
    }
    let accepted = match kind {
        "serve-unix" => Some(unix.accept().map(std::mem::forget).is_ok()),
        "serve-tcp" => Some(tcp.accept().map(std::mem::forget).is_ok()),
        _ => None,
    };
    let _ = std::io::stdin().read(&mut [0]);
    drop((accepted, unix));
    let _ = fs::remove_file(path);
}

/// Fills the file system below this directory.
fn fill(directory: &str) -> Vec<File> {
    let path = PathBuf::from(directory).join("full.log");
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("it can be created");
    while file.write_all(&[b'x'; 4096]).is_ok() {}
    vec![file]
}

/// Creates files below this directory until `left` more can be created.
fn use_inodes(directory: &str, left: usize) -> Vec<File> {
    let path = |name: &str| PathBuf::from(directory).join(name);
    let log = File::create(path("small.log")).expect("it can be created");
    let mut created = 0;
    while File::create(path(&format!("{created}.tmp"))).is_ok() {
        created += 1;
    }
    for number in created - left..created {
        fs::remove_file(path(&format!("{number}.tmp"))).expect("it is there");
    }
    vec![log]
}

/// Starts the loopback interface of a new network namespace, and sets from which ports the kernel
/// chooses.
fn with_few_ports() {
    // SAFETY: all zero is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).expect("a flag");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a port");
    // SAFETY: the request is valid for reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40063").expect("it is this namespace's");
}

/// Servers, each with this many connections to it; both ends of each.
fn connections(of_servers: &[usize]) -> Vec<TcpStream> {
    let mut ends = Vec::new();
    for (port, connections) in (4_000..).zip(of_servers) {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        for _ in 0..*connections {
            ends.push(TcpStream::connect(("127.0.0.1", port)).expect("there are ports"));
            ends.push(listener.accept().expect("it is connected").0);
        }
    }
    ends
}

/// Uses this many megabytes of memory, until the end.
fn allocate(megabytes: usize) {
    std::mem::forget(std::hint::black_box(vec![1_u8; megabytes << 20]));
}

/// Starts another process that uses memory until the kernel kills it.
fn start_greedy_process() {
    let program = std::env::current_exe().expect("it is known");
    let ended = Command::new(program).arg("greedy").stdout(Stdio::null()).status().expect("it starts");
    assert_eq!(ended.signal(), Some(libc::SIGKILL), "{ended}");
}

/// Calls itself until the stack has grown by this many bytes since `start`.
#[inline(never)]
fn grow_stack(start: usize, bytes: usize) {
    let piece = std::hint::black_box([0_u8; 4096]);
    if start - piece.as_ptr().addr() < bytes {
        grow_stack(start, bytes);
    }
    std::hint::black_box(&piece);
}

/// The mode that this section is slow in.
const SLOW: &str = "slow-section";

/// Longer than what a report finds slow.
const LONG: Duration = Duration::from_millis(1_100);

#[gmr::section(timeout = "10s")]
fn stock() -> Option<&'static str> {
    if std::env::args().nth(1).as_deref() == Some(SLOW) {
        std::thread::sleep(LONG);
    }
    None
}

#[gmr::main]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().expect("a mode");
    if mode.starts_with("serve-") {
        return serve(&mode);
    }
    let mut files = Vec::new();
    let mut server = None;
    let mut sockets = None;
    let mut connected = Vec::new();
    let mut threads = 0;
    match mode.as_str() {
        "descriptors-all" => {
            limit(libc::RLIMIT_NOFILE, DESCRIPTORS);
            files = use_up();
        }
        "descriptors-near" => {
            limit(libc::RLIMIT_NOFILE, DESCRIPTORS);
            files = open_files(DESCRIPTORS - 8);
        }
        "descriptors-few" => {
            limit(libc::RLIMIT_NOFILE, DESCRIPTORS);
            files = open_files(DESCRIPTORS / 2);
        }
        // As a sandbox does that is to open no more files.
        "descriptors-lowered" => {
            files = open_files(DESCRIPTORS);
            limit(libc::RLIMIT_NOFILE, DESCRIPTORS - 8);
        }
        "threads-near" | "threads-few" => {
            threads = THREADS;
            for number in 0..threads {
                gmr_tests::start_named(&format!("idle {number}"), || {
                    gmr_tests::arrive();
                    loop {
                        std::thread::park();
                    }
                });
            }
            // With space for those that make the report.
            limit(libc::RLIMIT_NPROC, if mode == "threads-near" { 112 } else { 224 });
        }
        "addresses-near" => {
            limit(libc::RLIMIT_AS, ADDRESSES);
            map(ADDRESSES / 16 * 15);
        }
        "addresses-few" => {
            limit(libc::RLIMIT_AS, ADDRESSES);
            map(ADDRESSES / 2);
        }
        "memory-near" => allocate(470),
        "memory-few" => allocate(200),
        "memory-killed" => start_greedy_process(),
        "greedy" => loop {
            allocate(16);
        },
        "stack-near" | "stack-few" => {
            limit(libc::RLIMIT_STACK, STACK as u64);
            let part = if mode == "stack-near" { 15 } else { 8 };
            grow_stack((&raw const mode).addr(), STACK / 16 * part);
        }
        SLOW => {}
        "backlog-full" => sockets = Some(listener(1)),
        "backlog-space" => sockets = Some(listener(0)),
        "peer" => {
            ask(silent_server(), 5);
            threads = 5;
        }
        // One for each of two.
        "peers" => {
            ask(silent_server(), 1);
            ask(silent_server(), 1);
            threads = 2;
        }
        "disk-full" => files = fill(&arguments.next().expect("a directory")),
        "disk-space" => {
            let path = PathBuf::from(arguments.next().expect("a directory")).join("small.log");
            files.push(File::create(path).expect("it can be created"));
        }
        "serves-tcp" | "serves-unix" | "serves-nobody" => {
            server = Some(ask_other_process(&mode.replace("serves", "serve")));
            // The lock is held.
            gmr_tests::settle(1);
            gmr_tests::start_named("client", || {
                gmr_tests::arrive();
                take_stock();
            });
            threads = 2;
        }
        "inodes-none" => files = use_inodes(&arguments.next().expect("a directory"), 0),
        "inodes-left" => files = use_inodes(&arguments.next().expect("a directory"), 8),
        "ports-all" | "ports-near" | "ports-of-two" => {
            with_few_ports();
            connected = connections(match mode.as_str() {
                "ports-all" => &[64],
                "ports-near" => &[60],
                // As many, but a port can be used for each of the two.
                _ => &[40, 40],
            });
        }
        other => panic!("there is no {other}"),
    }
    if threads > 0 {
        gmr_tests::settle(threads);
    }
    gmr_tests::converse(|_| format!("{} {} {}", files.len(), sockets.is_some(), connected.len()));
    if let Some(mut server) = server {
        drop(server.stdin.take());
        let _ = server.wait();
    }
}
