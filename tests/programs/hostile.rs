//! A program that is hard to report on: threads that start and end at full speed, memory allocated
//! and freed by several threads, children forked and spawned, libraries loaded and unloaded, deep
//! recursion, tiny and alternate stacks, handlers of its own at a thousand signals a second, code
//! without unwind information, `sigwait`, and readers that notice if a system call of theirs is
//! disturbed.

#![allow(unsafe_code, reason = "what is hostile is what safe Rust does not offer")]

use std::ffi::{c_int, c_void};
use std::io::Read;
use std::process::Command;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, LazyLock, Once};
use std::thread;

static NAMED: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(THREADS.len() + 1));
static BEGIN: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(THREADS.len() + 1));
static DISTURBED: AtomicU64 = AtomicU64::new(0);

/// What a thread of this program does forever, and how often it has done it.
struct Trouble {
    name: &'static str,
    run: fn(&AtomicU64),
    count: AtomicU64,
}

const fn trouble(name: &'static str, run: fn(&AtomicU64)) -> Trouble {
    Trouble { name, run, count: AtomicU64::new(0) }
}

static THREADS: [Trouble; 15] = [
    trouble("birth-1", give_birth),
    trouble("birth-2", give_birth),
    trouble("allocate-1", allocate),
    trouble("allocate-2", allocate),
    trouble("children", start_children),
    trouble("fork", fork),
    trouble("dive", dive),
    trouble("libraries", load_libraries),
    trouble("tiny", start_tiny_threads),
    trouble("alternate", raise_on_alternate_stack),
    trouble("timer", be_interrupted),
    trouble("generated", run_generated_code),
    trouble("sigwait", wait_for_signals),
    trouble("listen-1", listen),
    trouble("listen-2", listen),
];

#[inline(never)]
fn give_birth(count: &AtomicU64) {
    loop {
        let children: Vec<_> = (0..8).map(|_| thread::spawn(|| std::hint::black_box(7))).collect();
        for child in children {
            child.join().expect("it does nothing that panics");
        }
        count.fetch_add(8, Ordering::Relaxed);
    }
}

#[inline(never)]
fn allocate(count: &AtomicU64) {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for size in (1..).map(|round: usize| round * 7919 % 300_000) {
        kept.push(vec![1; size]);
        if kept.len() > 64 {
            kept.clear();
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Through `posix_spawn`, which the C library makes of `vfork`.
#[inline(never)]
fn start_children(count: &AtomicU64) {
    loop {
        if Command::new("true").status().is_ok_and(|status| status.success()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[inline(never)]
fn fork(count: &AtomicU64) {
    loop {
        // SAFETY: the child does nothing but end, which is allowed after a fork from a program with
        // threads.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: it runs no destructor and flushes nothing.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: it is a child of this thread's, and the status is a local.
        if child > 0 && unsafe { libc::waitpid(child, &raw mut status, 0) } == child {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[inline(never)]
fn dive(count: &AtomicU64) {
    #[inline(never)]
    fn descend(depth: u64) -> u64 {
        let space = std::hint::black_box([depth; 16]);
        if depth == 0 { 0 } else { descend(depth - 1) + space[0] }
    }
    loop {
        std::hint::black_box(descend(2_000));
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A library that nothing else here uses, so that it is mapped and unmapped each time.
#[inline(never)]
fn load_libraries(count: &AtomicU64) {
    loop {
        // SAFETY: the C library's own modules have no initialiser that could do harm.
        let open = |name: &std::ffi::CStr| unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        let library = [c"libnss_compat.so.2", c"libutil.so.1"]
            .map(open)
            .into_iter()
            .filter(|library| !library.is_null())
            .inspect(|library| {
                // SAFETY: the handle is valid and closed once.
                unsafe { libc::dlclose(*library) };
            })
            .count();
        assert_ne!(library, 0, "neither of two libraries of the C library's is there");
        count.fetch_add(1, Ordering::Relaxed);
    }
}

extern "C" fn live_in_little_room(count: *mut c_void) -> *mut c_void {
    // SAFETY: it is the static count of this trouble.
    let count = unsafe { &*count.cast_const().cast::<AtomicU64>() };
    for _ in 0..1_000 {
        count.fetch_add(1, Ordering::Relaxed);
        thread::yield_now();
    }
    null_mut()
}

/// Threads with the smallest stack there is, made by C's means, so that they have no alternate
/// stack either.
#[inline(never)]
fn start_tiny_threads(count: &AtomicU64) {
    loop {
        let mut attributes = std::mem::MaybeUninit::uninit();
        let mut thread: libc::pthread_t = 0;
        // SAFETY: the attributes are initialised first and destroyed last; the argument is static;
        // the thread is joined.
        unsafe {
            libc::pthread_attr_init(attributes.as_mut_ptr());
            libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), libc::PTHREAD_STACK_MIN);
            let argument = std::ptr::from_ref(count).cast_mut().cast();
            let made =
                libc::pthread_create(&raw mut thread, attributes.as_ptr(), live_in_little_room, argument);
            assert_eq!(made, 0, "a thread");
            libc::pthread_join(thread, null_mut());
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
    }
}

static RAISED: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
extern "C" fn on_alternate_stack(_: c_int) {
    for _ in 0..2_000 {
        RAISED.fetch_add(1, Ordering::Relaxed);
    }
}

fn handle(signal: c_int, handler: extern "C" fn(c_int), flags: c_int) {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroes are a valid action with an empty mask; the handlers touch atomics alone.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = handler as *const () as usize;
        (*action.as_mut_ptr()).sa_flags = flags;
        assert_eq!(libc::sigaction(signal, action.as_ptr(), null_mut()), 0);
    }
}

/// Spends nearly all its time in a handler on its alternate stack.
#[inline(never)]
fn raise_on_alternate_stack(count: &AtomicU64) {
    // The one that std gives each of its threads has 8 KiB: with AVX-512, the handler's frame and
    // the timer's leave no space for a third.
    let memory = Box::leak(vec![0_u8; 64 << 10].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
    // SAFETY: the memory belongs to the thread forever.
    assert_eq!(unsafe { libc::sigaltstack(&raw const stack, null_mut()) }, 0);
    handle(libc::SIGUSR1, on_alternate_stack, libc::SA_ONSTACK | libc::SA_RESTART);
    loop {
        // SAFETY: the signal has a handler.
        unsafe { libc::raise(libc::SIGUSR1) };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

static TICKS: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
extern "C" fn on_tick(_: c_int) {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

/// A thousand signals a second, to any thread that the kernel picks.
#[inline(never)]
fn be_interrupted(count: &AtomicU64) {
    handle(libc::SIGALRM, on_tick, libc::SA_RESTART);
    let often = libc::timeval { tv_sec: 0, tv_usec: 1_000 };
    let timer = libc::itimerval { it_interval: often, it_value: often };
    // SAFETY: the timer is complete, and its signal has a handler.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, null_mut()) }, 0);
    loop {
        count.store(TICKS.load(Ordering::Relaxed), Ordering::Relaxed);
        thread::yield_now();
    }
}

/// Machine code in memory of its own: `again: pause; cmp byte [rdi], 0; je again; ret`.
#[cfg(target_arch = "x86_64")]
const UNTIL_STOPPED: [u8; 8] = [0xf3, 0x90, 0x80, 0x3f, 0x00, 0x74, 0xf9, 0xc3];
/// `again: yield; ldrb w1, [x0]; cbz w1, again; ret`.
#[cfg(target_arch = "aarch64")]
const UNTIL_STOPPED: [u8; 16] =
    [0x3f, 0x20, 0x03, 0xd5, 0x01, 0x00, 0x40, 0x39, 0xc1, 0xff, 0xff, 0x34, 0xc0, 0x03, 0x5f, 0xd6];

static STOPPED: AtomicBool = AtomicBool::new(false);

#[inline(never)]
fn run_generated_code(count: &AtomicU64) {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: a new private mapping, filled with a function of one argument before it is called.
    let run: extern "C" fn(*const AtomicBool) = unsafe {
        let code = libc::mmap(null_mut(), 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        assert_ne!(code, libc::MAP_FAILED, "memory for code");
        code.copy_from_nonoverlapping(UNTIL_STOPPED.as_ptr().cast(), UNTIL_STOPPED.len());
        std::mem::transmute(code)
    };
    // Another thread ends each run.
    thread::spawn(|| {
        loop {
            STOPPED.store(true, Ordering::Relaxed);
            thread::yield_now();
            STOPPED.store(false, Ordering::Relaxed);
            thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    loop {
        run(&raw const STOPPED);
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Another thread sends it a signal that it waits for, again and again.
#[inline(never)]
fn wait_for_signals(count: &AtomicU64) {
    let mut wanted = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used; the calls touch this thread's mask alone.
    let wanted = unsafe {
        libc::sigemptyset(wanted.as_mut_ptr());
        libc::sigaddset(wanted.as_mut_ptr(), libc::SIGURG);
        // The timer's signals of this program would end the wait as well.
        let mut blocked = wanted;
        libc::sigaddset(blocked.as_mut_ptr(), libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), null_mut());
        wanted.assume_init()
    };
    // SAFETY: no arguments.
    let this = unsafe { libc::pthread_self() };
    thread::spawn(move || {
        loop {
            // SAFETY: the thread never ends.
            unsafe { libc::pthread_kill(this, libc::SIGURG) };
            thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    loop {
        // SAFETY: the set is initialised; what the signal brings is not asked for.
        match unsafe { libc::sigwaitinfo(&raw const wanted, null_mut()) } {
            libc::SIGURG => count.fetch_add(1, Ordering::Relaxed),
            // It was inspected just before it began to wait, and signalled just after.
            -1 => 0,
            _ => DISTURBED.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// A bare read, which fails if it is interrupted.
#[inline(never)]
fn listen(_: &AtomicU64) {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    if reader.read(&mut [0]).is_err() {
        DISTURBED.fetch_add(1, Ordering::Relaxed);
    }
}

#[gmr::main]
fn main() {
    for Trouble { name, run, count } in &THREADS {
        let start = move || {
            NAMED.wait();
            BEGIN.wait();
            run(count);
        };
        thread::Builder::new().name((*name).into()).spawn(start).expect("a thread");
    }
    NAMED.wait();
    // Until the first line they stand still, so that the test can learn which is which: threads
    // that they start have the same names at first.
    let begin = Once::new();
    gmr_tests::converse(|_| {
        begin.call_once(|| {
            BEGIN.wait();
        });
        let counts = THREADS
            .iter()
            .map(|trouble| format!("{}={}", trouble.name, trouble.count.load(Ordering::Relaxed)));
        let disturbed = format!("disturbed={}", DISTURBED.load(Ordering::Relaxed));
        counts.chain([disturbed]).collect::<Vec<_>>().join(" ")
    });
}
