//! A program that a campaign of faults is run against. Its threads count what they do in a file
//! that the test reads from outside, and stop counting where they find that they were disturbed.
//! Each line on standard input names a fault, and is answered once it has happened. The first
//! argument is the file for the counts, the second one a log that standard error can become.
//!
//! While memory is limited, no thread of the program allocates: a program that cannot allocate is
//! ended by std, whatever gmr does.

#![allow(unsafe_code, reason = "faults are what safe Rust does not offer")]

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::future::Future;
use std::io::{BufRead, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use gmr::task::TrackExt as _;
use gmr_tests::say;

/// What is counted: what each thread does, then the own signal handlers, the panics, and what was
/// disturbed. The test has the same list.
const COUNTS: [&str; 9] =
    ["sleep", "compute", "echo", "ping", "pong", "task", "handled", "panics", "disturbed"];
/// The threads that never stop counting.
type Run = fn(&AtomicU64);
const THREADS: [(&str, Run); 6] =
    [("sleep", sleep), ("compute", compute), ("echo", echo), ("ping", ping), ("pong", pong), ("task", task)];

static PLACE: OnceLock<&'static [AtomicU64]> = OnceLock::new();

fn count(name: &str) -> &'static AtomicU64 {
    let index = COUNTS.iter().position(|other| *other == name).expect("it is in the list");
    &PLACE.get().expect("it was mapped first")[index]
}

fn disturbed() {
    count("disturbed").fetch_add(1, Ordering::Relaxed);
}

/// Maps the file that the test reads.
fn map_counts(path: &str) {
    let file = File::options().read(true).write(true).open(path).expect("the test has made it");
    let length = COUNTS.len() * size_of::<AtomicU64>();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of a file that is long enough. It is never unmapped.
    let counts = unsafe {
        let base = libc::mmap(null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), 0);
        assert_ne!(base, libc::MAP_FAILED, "the counts can be mapped");
        std::slice::from_raw_parts(base.cast::<AtomicU64>(), COUNTS.len())
    };
    PLACE.set(counts).expect("once");
}

/// Whether the threads block the report signal.
static MASK: AtomicBool = AtomicBool::new(false);

fn set_mask(blocks: bool) {
    let how = if blocks { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used; the call changes this thread's mask only.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR2);
        libc::pthread_sigmask(how, set.as_ptr(), null_mut());
    }
}

/// Calls the function, counts, and follows the mask, forever.
fn repeat(count: &AtomicU64, mut function: impl FnMut()) {
    let mut blocks = false;
    loop {
        function();
        count.fetch_add(1, Ordering::Relaxed);
        if MASK.load(Ordering::Relaxed) != blocks {
            blocks = !blocks;
            set_mask(blocks);
        }
    }
}

const MOMENT: Duration = Duration::from_millis(1);

#[inline(never)]
fn sleep(count: &AtomicU64) {
    repeat(count, || thread::sleep(MOMENT));
}

/// Runs about half of the time.
#[inline(never)]
fn compute(count: &AtomicU64) {
    repeat(count, || {
        for number in 0..20_000_u32 {
            std::hint::black_box(number);
        }
        thread::sleep(MOMENT);
    });
}

static OWN_SOCKETS: OnceLock<[RawFd; 2]> = OnceLock::new();

/// What is written to one end of a socket arrives at the other one, and nothing else does.
#[inline(never)]
fn echo(count: &AtomicU64) {
    let [mut here, mut there] = OWN_SOCKETS
        .get()
        // SAFETY: main has made them for this thread only.
        .map(|fds| fds.map(|fd| unsafe { UnixStream::from_raw_fd(fd) }))
        .expect("main has made them");
    let mut sent = 0_u8;
    repeat(count, || {
        sent = sent.wrapping_add(1);
        let mut received = [0; 2];
        let arrived = here.write(&[sent]).and_then(|_| there.read(&mut received));
        if arrived.ok() != Some(1) || received[0] != sent {
            disturbed();
        }
        thread::sleep(MOMENT);
    });
}

static TURN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

fn take_turns(count: &AtomicU64, mine: bool) {
    repeat(count, || {
        let turn = TURN.0.lock().expect("no thread panics with it");
        let mut turn = TURN.1.wait_while(turn, |turn| *turn != mine).expect("no thread panics with it");
        *turn = !mine;
        drop(turn);
        TURN.1.notify_one();
        if mine {
            thread::sleep(MOMENT);
        }
    });
}

#[inline(never)]
fn ping(count: &AtomicU64) {
    take_turns(count, false);
}

#[inline(never)]
fn pong(count: &AtomicU64) {
    take_turns(count, true);
}

/// Wakes the thread that polls.
struct Unpark(Thread, AtomicBool);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.1.store(true, Ordering::Release);
        self.0.unpark();
    }
}

/// Waits until it is woken by the thread that polls it: a tracked task that makes progress, and may
/// be polled for reports in between.
struct Step(u64);

impl Future for Step {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let done = TICKS.load(Ordering::Acquire);
        if done > self.0 {
            return Poll::Ready(());
        }
        self.0 = self.0.max(done);
        *WOKEN.lock().expect("no thread panics with it") = Some(context.waker().clone());
        Poll::Pending
    }
}

static TICKS: AtomicU64 = AtomicU64::new(0);
static WOKEN: Mutex<Option<Waker>> = Mutex::new(None);

#[inline(never)]
fn task(count: &AtomicU64) {
    let unpark = std::sync::Arc::new(Unpark(thread::current(), AtomicBool::new(true)));
    let waker = Waker::from(std::sync::Arc::clone(&unpark));
    let steps = async {
        loop {
            Step(TICKS.load(Ordering::Acquire)).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut steps = std::pin::pin!(steps.tracked_as("steps"));
    repeat(&AtomicU64::new(0), || {
        if unpark.1.swap(false, Ordering::Acquire) {
            let _ = steps.as_mut().poll(&mut Context::from_waker(&waker));
        }
        thread::park_timeout(MOMENT);
        TICKS.fetch_add(1, Ordering::Release);
        if let Some(waker) = WOKEN.lock().expect("no thread panics with it").take() {
            waker.wake();
        }
    });
}

#[gmr::section]
fn campaign() -> &'static str {
    "whole"
}

/// Signals with handlers of the program's own.
const HANDLED: [c_int; 4] = [libc::SIGUSR1, libc::SIGALRM, libc::SIGHUP, libc::SIGWINCH];

extern "C" fn handle(_: c_int) {
    if let Some(counts) = PLACE.get() {
        // `handled`: a search by name is too much for a handler.
        counts[6].fetch_add(1, Ordering::Relaxed);
    }
}

fn install_handlers() {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    for signal in HANDLED {
        // SAFETY: zeroes are a valid action; the handler touches atomics only.
        unsafe {
            // The alternate stack that std gives its threads has space for one signal frame or two.
            libc::sigfillset(&raw mut (*action.as_mut_ptr()).sa_mask);
            (*action.as_mut_ptr()).sa_sigaction = handle as *const () as usize;
            (*action.as_mut_ptr()).sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
            assert_eq!(libc::sigaction(signal, action.as_ptr(), null_mut()), 0);
        }
    }
}

/// The signals that have a handler, the capture signal among them. A fault (SIGSEGV, SIGBUS) that
/// did not happen ends a program: std takes its handlers away. Signals 32 and 33 are the C
/// library's.
fn handled_signals() -> Vec<c_int> {
    let status = std::fs::read_to_string("/proc/self/status").expect("it can be read");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("Linux has it");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("a set");
    let never = [libc::SIGSEGV, libc::SIGBUS, 32, 33];
    (1..=64).filter(|signal| caught & (1 << (signal - 1)) != 0 && !never.contains(signal)).collect()
}

fn threads() -> Vec<c_int> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("it can be listed").flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// Whether the thread lasts as long as the program. Another one, such as a thread of gmr's that
/// made the last report, may be ending: the kernel accepts a signal to it and drops it.
fn lasts(tid: c_int) -> bool {
    let name = std::fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
    THREADS.iter().any(|(lasting, _)| *lasting == name.trim_end())
}

/// Signals with any contents, to any threads. Returns how many of them are the report signal to a
/// thread that [lasts]: with a sender that is another process.
fn storm(seed: u64, signals: u32) -> u32 {
    /// The beginning of the kernel's `siginfo_t`, in the layout of `rt_sigqueueinfo`.
    #[repr(C)]
    struct Info {
        signal: c_int,
        error: c_int,
        code: c_int,
        padding: c_int,
        pid: c_int,
        uid: u32,
        value: u64,
        rest: [u64; 12],
    }
    const CODES: [c_int; 7] =
        [libc::SI_QUEUE, libc::SI_USER, libc::SI_TKILL, libc::SI_TIMER, libc::SI_KERNEL, libc::SI_MESGQ, -60];
    let (kinds, threads) = (handled_signals(), threads());
    let threads: Vec<(c_int, bool)> = threads.into_iter().map(|tid| (tid, lasts(tid))).collect();
    let mut random = gmr_tests::Random::new(seed);
    let mut reports = 0;
    for _ in 0..signals {
        let info = Info {
            signal: *random.among(&kinds),
            error: 0,
            code: *random.among(&CODES),
            padding: 0,
            pid: 1,
            uid: 0,
            value: if random.below(2) == 0 { random.number() } else { random.below(256) },
            rest: [random.number(); 12],
        };
        let (process, (thread, lasts)) = (std::process::id(), *random.among(&threads));
        // SAFETY: the structure is as large as the kernel's. The signals have handlers.
        let sent = unsafe {
            libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, info.signal, &raw const info)
        };
        // A thread may have ended, and the queue may be full.
        reports += u32::from(sent == 0 && lasts && info.signal == libc::SIGUSR2);
    }
    reports
}

/// Descriptors of the program's own, above the numbers that it opens later.
const SAVED_STDERR: RawFd = 100;

/// Files that take the lowest numbers, and have to stay as they are.
static FILES: Mutex<Vec<File>> = Mutex::new(Vec::new());

fn file() -> Option<File> {
    // SAFETY: a new descriptor.
    let fd = unsafe { libc::memfd_create(c"campaign".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: it is this file's.
    (fd >= 0).then(|| unsafe { File::from_raw_fd(fd) })
}

/// Closes every descriptor that is not the program's own, opens a file, and looks at those that
/// were opened before.
fn close_others() {
    let mut files = FILES.lock().expect("no thread panics with it");
    let mut own: Vec<RawFd> = OWN_SOCKETS.get().into_iter().flatten().copied().collect();
    own.extend([0, 1, 2, SAVED_STDERR]);
    own.extend(files.iter().map(AsRawFd::as_raw_fd));
    own.sort_unstable();
    own.push(RawFd::MAX);
    for pair in own.windows(2).filter(|pair| pair[0] + 1 < pair[1]) {
        // SAFETY: no code of this program uses a descriptor that is not in the list.
        unsafe { libc::syscall(libc::SYS_close_range, pair[0] + 1, pair[1] - 1, 0) };
    }
    for file in files.iter() {
        let mut text = [0; 16];
        if file.read_at(&mut text, 0).ok() != Some(6) || text[..6] != *b"header" {
            disturbed();
        }
    }
    if files.len() < 8
        && let Some(mut new) = file()
    {
        new.write_all(b"header").expect("it is memory");
        files.push(new);
    }
}

/// What descriptor 2 is, where the program has opened a file for itself.
static IN_PLACE_OF_STDERR: Mutex<Option<File>> = Mutex::new(None);

fn set_stderr(how: &str, log: &str) {
    // SAFETY: this program writes nothing to standard error.
    unsafe {
        match how {
            "closed" => assert_eq!(libc::close(2), 0),
            "own" => {
                libc::close(2);
                let own = file().expect("a file");
                // Another thread may have got the number meanwhile: it is closed again soon.
                assert!(own.as_raw_fd() == 2 || libc::dup3(own.as_raw_fd(), 2, libc::O_CLOEXEC) == 2);
                let own = if own.as_raw_fd() == 2 { own } else { File::from_raw_fd(2) };
                *IN_PLACE_OF_STDERR.lock().expect("no thread panics with it") = Some(own);
            }
            "log" => {
                let file = File::options().append(true).create(true).open(log).expect("a log");
                assert_eq!(libc::dup2(file.as_raw_fd(), 2), 2);
            }
            _ => {
                if let Some(own) = IN_PLACE_OF_STDERR.lock().expect("no thread panics with it").take() {
                    if own.metadata().expect("it is open").len() != 0 {
                        disturbed();
                    }
                    std::mem::forget(own);
                }
                assert_eq!(libc::dup2(SAVED_STDERR, 2), 2);
            }
        }
    }
}

fn mapped() -> u64 {
    let sizes = std::fs::read_to_string("/proc/self/statm").expect("it can be read");
    let pages: u64 = sizes.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number");
    pages * rustix::param::page_size() as u64
}

/// Limits what can be mapped in addition, in KiB, or ends the limit.
fn limit(kibibytes: Option<u64>) {
    let limit = kibibytes.map_or(libc::RLIM_INFINITY, |kibibytes| mapped() + (kibibytes << 10));
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is valid.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

/// Uses up all descriptors but a few, or frees them.
fn use_descriptors(left: Option<u64>) {
    static USED: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let mut used = USED.lock().expect("no thread panics with it");
    used.clear();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is a local.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = if left.is_some() { 256 } else { limit.rlim_max };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
    let Some(left) = left else { return };
    used.extend(std::iter::from_fn(file));
    let length = used.len().saturating_sub(usize::try_from(left).expect("a small number"));
    used.truncate(length);
}

/// A child that ends at once, sends itself the report signal, or gets more done.
fn fork(kind: u64) {
    // SAFETY: the child calls only what is allowed after a fork from a program with threads.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            match kind % 3 {
                0 => {}
                1 => {
                    libc::kill(libc::getpid(), libc::SIGUSR2);
                    libc::usleep(2_000);
                }
                _ => {
                    libc::usleep(1_000);
                    libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
                }
            }
            libc::_exit(7);
        }
        let mut status = 0;
        if child > 0 && (libc::waitpid(child, &raw mut status, 0) != child || status != 7 << 8) {
            disturbed();
        }
    }
}

extern "C" fn wait_a_moment(_: *mut c_void) -> c_int {
    // SAFETY: it only waits.
    unsafe { libc::usleep(20_000) };
    0
}

/// Main waits for a child that shares its memory, and cannot be interrupted meanwhile.
fn vfork() {
    let mut stack = vec![0_u128; 4096];
    // SAFETY: as `vfork`, but the child has a stack of its own, which lives until it has ended.
    unsafe {
        let top = stack.as_mut_ptr().add(4096).cast();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let child = libc::clone(wait_a_moment, top, flags, null_mut());
        libc::waitpid(child, null_mut(), 0);
    }
}

/// Libraries that nothing else here uses, so that they are mapped and unmapped each time.
fn load_libraries(times: u64) {
    for _ in 0..times {
        for name in [c"libnss_compat.so.2", c"libutil.so.1"] {
            // SAFETY: the C library's own modules have no initialiser that could do harm.
            unsafe {
                let library = libc::dlopen(name.as_ptr(), libc::RTLD_NOW);
                if !library.is_null() {
                    libc::dlclose(library);
                }
            }
        }
    }
}

fn churn(times: u64) {
    for _ in 0..times {
        let start = |_| thread::Builder::new().name("churn".into()).spawn(|| std::hint::black_box(7)).ok();
        for started in (0..8).filter_map(start).collect::<Vec<_>>() {
            started.join().expect("it does nothing that panics");
        }
    }
}

/// Threads that wait, or compute, until there are other ones.
#[derive(Default)]
struct More {
    started: Vec<JoinHandle<()>>,
}

static ROUND: AtomicU64 = AtomicU64::new(0);

impl More {
    fn start(&mut self, number: u64, name: &str, run: fn()) {
        let round = ROUND.fetch_add(1, Ordering::Relaxed) + 1;
        for thread in self.started.drain(..) {
            thread.thread().unpark();
            thread.join().expect("it does nothing that panics");
        }
        let start = |_| {
            let until_next = move || {
                while ROUND.load(Ordering::Relaxed) == round {
                    run();
                }
            };
            thread::Builder::new().name(name.to_owned()).spawn(until_next).ok()
        };
        self.started.extend((0..number).filter_map(start));
    }
}

/// Gives every thread of the process another policy.
fn set_policy(policy: c_int) {
    for thread in threads() {
        // SAFETY: the parameter is a local. A thread may have ended.
        unsafe { libc::sched_setscheduler(thread, policy, &libc::sched_param { sched_priority: 0 }) };
    }
}

const OWN_PANIC: &str = "one of the program's own";

fn happen(fault: &str, number: Option<u64>, log: &str, more: &mut More) {
    let times = number.unwrap_or(1);
    match fault {
        "here?" => {}
        "mask" | "unmask" => {
            MASK.store(fault == "mask", Ordering::Relaxed);
            set_mask(fault == "mask");
        }
        "close" => close_others(),
        "stderr-closed" | "stderr-own" | "stderr-log" | "stderr-back" => {
            set_stderr(fault.trim_start_matches("stderr-"), log);
        }
        // SAFETY: descriptor 2 may be anything; what is not a pipe has no size.
        "pipe" => drop(unsafe { libc::fcntl(2, libc::F_SETPIPE_SZ, 4096_i32 << times) }),
        "limit" => limit(number),
        "descriptors" => use_descriptors(number),
        "fork" => fork(times),
        "vfork" => vfork(),
        "libraries" => load_libraries(times),
        "churn" => churn(times),
        "threads" => more.start(times, "parked", thread::park),
        "busy" => more.start(times, "busy", std::hint::spin_loop),
        "idle" => set_policy(libc::SCHED_IDLE),
        "batch" => set_policy(libc::SCHED_BATCH),
        "other" => set_policy(libc::SCHED_OTHER),
        "panic" => {
            let caught = std::panic::catch_unwind(|| std::panic::panic_any(OWN_PANIC));
            assert!(caught.is_err());
        }
        unknown => panic!("an unknown fault: {unknown}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [counts, log] = &arguments[..] else { panic!("two paths are needed") };
    map_counts(counts);
    install_handlers();
    std::panic::set_hook(Box::new(|panic| {
        count("panics").fetch_add(1, Ordering::Relaxed);
        if panic.payload().downcast_ref() != Some(&OWN_PANIC) {
            say(&panic.to_string());
        }
    }));
    let guard = gmr::Builder::new().product("campaign").install().expect("it is the first one");
    // SAFETY: new descriptors with numbers that nothing else has yet.
    let own = unsafe {
        assert_eq!(libc::fcntl(2, libc::F_DUPFD_CLOEXEC, SAVED_STDERR), SAVED_STDERR);
        let (here, there) = UnixStream::pair().expect("sockets");
        [here.as_raw_fd(), there.as_raw_fd()].map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, SAVED_STDERR))
    };
    OWN_SOCKETS.set(own).expect("once");
    for (name, run) in THREADS {
        let run = move || run(count(name));
        thread::Builder::new().name(name.into()).spawn(run).expect("a thread");
    }
    // A thread sets its name itself, after it has started.
    while THREADS.iter().any(|(name, _)| count(name).load(Ordering::Relaxed) == 0) {
        thread::yield_now();
    }
    let mut more = More::default();
    say("ready");
    // Nothing here allocates for each line: memory may be limited.
    let (mut input, mut line) = (std::io::stdin().lock(), String::with_capacity(256));
    while {
        line.clear();
        input.read_line(&mut line).is_ok_and(|length| length > 0)
    } {
        let mut words = line.split_ascii_whitespace();
        let fault = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        match fault {
            "capture" => say(&serde_json::to_string(&gmr::Report::capture()).expect("a report is JSON")),
            "storm" => {
                let (seed, signals) = (number().expect("a seed"), number().expect("a number"));
                say(&storm(seed, u32::try_from(signals).expect("a small number")).to_string());
            }
            _ => {
                happen(fault, number(), log, &mut more);
                say("done");
            }
        }
    }
    drop(guard);
}
