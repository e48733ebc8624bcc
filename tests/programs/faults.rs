//! A program in which a system call of gmr's fails, and only of gmr's.
//!
//! A seccomp filter asks a thread of this program about each call (`SECCOMP_RET_USER_NOTIF`), which
//! counts it and then has it made, or fail. A thread that has the filter passes it on to the
//! threads that it starts. So one thread gets it, installs gmr, starts the two threads that gmr
//! disturbs, and ends. All others are as they were: what is observed of the program does not depend
//! on calls that fail.
//!
//! Its first argument is the call that the filter asks about, by its number, or `all`. With an
//! error's number as a second one, and perhaps `every-other`, this call fails while gmr is
//! installed. If gmr is then not installed, the program says so, and goes on. It answers these
//! questions:
//! - `fail CALL ERRNO` and `fail CALL ERRNO every-other`: the call fails from now on;
//! - `failed`: whether it has failed since;
//! - `failed in a new thread`: whether it has failed in a thread that was started since;
//! - `heal`: it no longer fails;
//! - `report`: sends the report signal to a thread that runs, and lets it run until `rest`;
//! - `calls`: the numbers of the calls that were made since the last time;
//! - `works`: whether the threads of the program go on and its files are as it left them.
//!
//! With `own-filters` as its argument, gmr has no filter, and two threads have one of their own
//! that ends the process at the calls of gmr's signal handler. It answers `report` and `rest`.
//!
//! Where there can be no such filter, it says so and ends.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Write as _};
use std::os::fd::FromRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use gmr::task::TrackExt as _;

/// More than the kernel has calls.
const CALLS: usize = 1024;

/// The calls that were made.
static MADE: [AtomicBool; CALLS] = [const { AtomicBool::new(false) }; CALLS];
/// The call that fails, and what it returns instead of being made; 0 if all are made.
static FAILING: AtomicI32 = AtomicI32::new(0);
static ERRNO: AtomicI32 = AtomicI32::new(0);
static HAS_FAILED: AtomicBool = AtomicBool::new(false);
/// The highest id of a thread when the call began to fail, and whether it has failed in a later
/// one.
static LAST_THREAD: AtomicU32 = AtomicU32::new(0);
static HAS_FAILED_LATER: AtomicBool = AtomicBool::new(false);
/// Whether only every other call of a thread fails, so that one that is repeated succeeds.
static EVERY_OTHER: AtomicBool = AtomicBool::new(false);

/// The id of the thread that runs, and how far it is.
static RUNNING: AtomicI32 = AtomicI32::new(0);
static RUNS: AtomicBool = AtomicBool::new(false);
static PROGRESS: AtomicU64 = AtomicU64::new(0);

#[gmr::section]
fn notes() -> &'static str {
    "of the program"
}

#[gmr::config]
fn settings() -> &'static str {
    "of the program"
}

/// Never returns an error, or ends a thread.
const NEVER_ASKED: [libc::c_long; 3] = [libc::SYS_rt_sigreturn, libc::SYS_exit, libc::SYS_exit_group];

/// Gives the calling thread, and all that it will start, the filter. Returns the descriptor that
/// its questions come from.
fn filter(call: Option<u32>) -> io::Result<i32> {
    const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
    let listens = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match call {
        Some(call) => set_filter(&[call.into()], (ASK, libc::SECCOMP_RET_ALLOW), listens),
        None => set_filter(&NEVER_ASKED, (libc::SECCOMP_RET_ALLOW, ASK), listens),
    }
}

/// Sets a filter with an action for the chosen calls, and one for the others.
fn set_filter(
    chosen: &[libc::c_long],
    (action, others): (u32, u32),
    flags: libc::c_ulong,
) -> io::Result<i32> {
    let instruction = |code: u32, jump_if_equal: usize, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("a code has 16 bits"),
        jt: u8::try_from(jump_if_equal).expect("the filter is short"),
        jf: 0,
        k,
    };
    let number = |call: libc::c_long| u32::try_from(call).expect("a number of a call is small");
    // The chosen calls go on to the last instruction, the others to the one before it.
    let mut filter = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (index, &call) in chosen.iter().enumerate() {
        let jump = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        filter.push(instruction(jump, chosen.len() - index, number(call)));
    }
    filter.extend([others, action].map(|action| instruction(libc::BPF_RET | libc::BPF_K, 0, action)));
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).expect("the filter is short"),
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is valid, and is copied.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the calling thread a filter that ends the process at the calls by which gmr reads a
/// thread's stack.
fn forbid_reading_stacks() -> io::Result<()> {
    let actions = (libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_ALLOW);
    set_filter(&[libc::SYS_process_vm_readv, libc::SYS_mincore], actions, 0).map(drop)
}

/// The descriptor that the filter's questions come from. Not passed by a channel, whose sender
/// makes system calls, and so waits for the answers of its receiver.
static LISTENER: AtomicI32 = AtomicI32::new(-1);

/// Answers the questions of the filter. A thread that waits for an answer may hold the allocator's
/// lock, so nothing here allocates.
fn supervise() -> ! {
    while LISTENER.load(Ordering::Acquire) < 0 {
        thread::yield_now();
    }
    let listener = LISTENER.load(Ordering::Acquire);
    // The threads whose last call has failed. One that has ended is replaced at some time.
    let mut failed = [0_u32; 64];
    let mut oldest = 0;
    loop {
        // SAFETY: zero is valid for each field, and the kernel requires it.
        let mut question: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is valid for writes.
        if unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut question) } != 0 {
            // A signal, or the thread that asked has ended.
            continue;
        }
        let number = question.data.nr;
        if let Some(made) = usize::try_from(number).ok().and_then(|number| MADE.get(number)) {
            made.store(true, Ordering::Release);
        }
        let mut errno = if may_fail(&question.data) { ERRNO.load(Ordering::Acquire) } else { 0 };
        if errno != 0 && EVERY_OTHER.load(Ordering::Acquire) {
            if let Some(place) = failed.iter_mut().find(|thread| **thread == question.pid) {
                *place = 0;
                errno = 0;
            } else {
                failed[oldest] = question.pid;
                oldest = (oldest + 1) % failed.len();
            }
        }
        if errno != 0 {
            HAS_FAILED.store(true, Ordering::Release);
            if question.pid > LAST_THREAD.load(Ordering::Acquire) {
                HAS_FAILED_LATER.store(true, Ordering::Release);
            }
        }
        let flags = if errno == 0 { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE } else { 0 };
        let flags = u32::try_from(flags).expect("it has 32 bits");
        let answer = libc::seccomp_notif_resp { id: question.id, val: 0, error: -errno, flags };
        // SAFETY: the structure is initialised. It fails if the thread no longer waits.
        unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer) };
    }
}

/// Whether this is the call that fails. A futex wake is never interrupted, and never to be
/// repeated. On machines without a clock that the vDSO can read, std reads the clocks with a system
/// call, and panics if that fails.
fn may_fail(data: &libc::seccomp_data) -> bool {
    let argument = |index: usize| u32::try_from(data.args[index] & 0xffff_ffff).map_or(-1, u32::cast_signed);
    data.nr == FAILING.load(Ordering::Acquire)
        && match i64::from(data.nr) {
            libc::SYS_futex => matches!(argument(1) & 0x7f, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET),
            libc::SYS_clock_gettime => !matches!(argument(0), libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC),
            _ => true,
        }
}

/// The words are the call, the error, and perhaps `every-other`.
fn fail(words: &[&str]) {
    let [call, errno, ref which @ ..] = words[..] else { panic!("no call and error: {words:?}") };
    ERRNO.store(0, Ordering::Release);
    EVERY_OTHER.store(!which.is_empty(), Ordering::Release);
    FAILING.store(call.parse().expect("a call's number"), Ordering::Release);
    let threads = std::fs::read_dir("/proc/self/task").expect("the threads can be listed").flatten();
    let ids = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok());
    LAST_THREAD.store(ids.max().expect("this thread"), Ordering::Release);
    HAS_FAILED.store(false, Ordering::Release);
    HAS_FAILED_LATER.store(false, Ordering::Release);
    ERRNO.store(errno.parse().expect("an error's number"), Ordering::Release);
}

#[inline(never)]
fn park_here() {
    gmr_tests::arrive();
    loop {
        thread::park();
    }
}

#[inline(never)]
fn read_here(mut client: UnixStream, received: &mpsc::Sender<()>) {
    gmr_tests::arrive();
    while client.read(&mut [0]).is_ok_and(|read| read > 0) {
        received.send(()).expect("it is awaited");
    }
}

/// Makes no system call while it runs: all that it makes are those of signal handlers.
#[inline(never)]
fn run_here() {
    RUNNING.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Release);
    loop {
        while RUNS.load(Ordering::Acquire) {
            PROGRESS.fetch_add(1, Ordering::Relaxed);
        }
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits as a task.
#[inline(never)]
fn execute() {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let kept = Cell::new(None);
    let task = poll_fn(|context| {
        kept.set(Some(context.waker().clone()));
        Poll::<()>::Pending
    });
    let mut task = pin!(task.tracked_as("task"));
    gmr_tests::arrive();
    while task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        thread::park();
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Thread {
    let started = thread::Builder::new().name(name.into()).spawn(run).expect("it can be started");
    started.thread().clone()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments == ["own-filters"] {
        return with_own_filters();
    }
    let call = arguments[0].parse().ok();
    if arguments.len() > 1 {
        fail(&arguments);
    }
    let (asked, question) = mpsc::channel::<u64>();
    let (answer, answered) = mpsc::channel();
    start("worker", move || {
        for number in question {
            answer.send(number + 1).expect("its answer is awaited");
        }
    });
    start("parked", park_here);
    let (client, mut socket) = connection().expect("a connection");
    let (received, arrived) = mpsc::channel();
    start("reader", move || read_here(client, &received));
    start("supervisor", || supervise());
    let installer = thread::Builder::new().name("installer".into()).spawn(move || {
        LISTENER.store(filter(call)?, Ordering::Release);
        let installed = gmr::Builder::new().install();
        ERRNO.store(0, Ordering::Release);
        let installed = installed.map(gmr::Guard::keep);
        start("task", execute);
        let running = start("running", run_here);
        while RUNNING.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        Ok::<_, io::Error>((running, installed))
    });
    let (running, result) = match installer.expect("it can be started").join().expect("it does not panic") {
        Ok(done) => done,
        Err(error) => return gmr_tests::say(&format!("skipped: no filter: {error}")),
    };
    // Those that reports are checked for.
    gmr_tests::settle(3);
    let (mut log, mut written) = (log().expect("a file"), Vec::<u8>::new());
    let mut works = move || {
        asked.send(1).expect("the worker lives");
        assert_eq!(answered.recv(), Ok(2));
        socket.write_all(&[0]).expect("it is connected");
        arrived.recv().expect("the reader lives");
        log.write_all(b"works\n").expect("it is open");
        written.extend_from_slice(b"works\n");
        let mut found = vec![0; written.len() + 1];
        let length = log.read_at(&mut found, 0).expect("it can be read");
        assert_eq!(found[..length], written, "nothing else writes to it");
        "works".to_owned()
    };
    gmr_tests::converse(|question| match question.split(' ').collect::<Vec<_>>()[..] {
        ["installed"] => result.as_ref().map_or_else(gmr::Error::to_string, |()| "yes".to_owned()),
        ["fail", ref call @ ..] => {
            fail(call);
            "fails".to_owned()
        }
        ["failed", ref which @ ..] => {
            let has_failed = if which.is_empty() { &HAS_FAILED } else { &HAS_FAILED_LATER };
            if has_failed.load(Ordering::Acquire) { "yes" } else { "no" }.to_owned()
        }
        ["heal"] => {
            ERRNO.store(0, Ordering::Release);
            "healed".to_owned()
        }
        ["report"] => report(&running),
        ["rest"] => rest(),
        ["calls"] => {
            let mut calls = String::new();
            for (number, made) in MADE.iter().enumerate() {
                if made.swap(false, Ordering::AcqRel) {
                    write!(calls, "{number} ").expect("it is a string");
                }
            }
            calls.trim_end().to_owned()
        }
        ["works"] => works(),
        _ => panic!("an unknown question: {question}"),
    });
}

/// Sends the report signal to the thread that runs.
fn report(running: &Thread) -> String {
    RUNS.store(true, Ordering::Release);
    running.unpark();
    let before = PROGRESS.load(Ordering::Relaxed);
    while PROGRESS.load(Ordering::Relaxed) == before {
        thread::yield_now();
    }
    let thread = RUNNING.load(Ordering::Acquire);
    // SAFETY: sending a signal touches no memory.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR2) };
    assert_eq!(sent, 0, "{}", io::Error::last_os_error());
    "sent".to_owned()
}

fn rest() -> String {
    RUNS.store(false, Ordering::Release);
    "rests".to_owned()
}

/// gmr is installed without a filter. Then two threads get one that ends the process if they make
/// certain calls.
fn with_own_filters() {
    gmr::Builder::new().install().expect("it is the first one").keep();
    start("parked", park_here);
    let filtered = |name: &str, run: fn()| {
        let (set, is_set) = mpsc::channel();
        let started = start(name, move || {
            set.send(forbid_reading_stacks()).expect("it is awaited");
            run();
        });
        is_set.recv().expect("it is set").map(|()| started)
    };
    let started = filtered("task", execute).and_then(|_| filtered("running", run_here));
    let running = match started {
        Ok(running) => running,
        Err(error) => return gmr_tests::say(&format!("skipped: no filter: {error}")),
    };
    while RUNNING.load(Ordering::Acquire) == 0 {
        thread::yield_now();
    }
    gmr_tests::settle(2);
    gmr_tests::converse(|question| match question {
        "report" => report(&running),
        "rest" => rest(),
        _ => panic!("an unknown question: {question}"),
    });
}

/// Both ends of a connection, the client's first. The server's has a name.
fn connection() -> io::Result<(UnixStream, UnixStream)> {
    let name = format!("gmr-faults-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name)?;
    let listener = UnixListener::bind_addr(&address)?;
    Ok((UnixStream::connect_addr(&address)?, listener.accept()?.0))
}

/// A file that only this program has open.
fn log() -> io::Result<File> {
    // SAFETY: the name is a string that ends with a zero.
    let descriptor = unsafe { libc::memfd_create(c"log".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nothing else owns it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}
