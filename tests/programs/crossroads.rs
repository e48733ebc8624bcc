//! More than two hundred threads that wait in many different ways, and a few that compute: a test
//! compares a debugger's stacks of them with a report's.

#![allow(unsafe_code, reason = "C's `qsort` is called as C calls it")]

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Condvar, LazyLock, Mutex, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use rustix::event::epoll;

/// How many threads take each of the ways.
const EACH: usize = 16;
/// How many compute, and so never stand still.
const COMPUTING: usize = 4;

static STARTED: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(WAYS.len() * EACH + COMPUTING + 1));
static NEVER: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(usize::MAX));
static LOCK: Mutex<u64> = Mutex::new(0);
static SHUT: RwLock<u64> = RwLock::new(0);
static READ: RwLock<u64> = RwLock::new(0);
static BELL: Condvar = Condvar::new();
static RUNG: Mutex<bool> = Mutex::new(false);
static COUNTER: AtomicU64 = AtomicU64::new(0);

const WAYS: [(&str, fn()); 13] = [
    ("lock", at_a_lock),
    ("reader", at_a_lock_for_readers),
    ("writer", at_a_lock_for_writers),
    ("bell", at_a_bell),
    ("channel", at_a_channel),
    ("pipe", at_a_pipe),
    ("events", at_events),
    ("asleep", asleep),
    ("parked", parked),
    ("barrier", at_a_barrier),
    ("sorting", sorting_in_c),
    ("deep", deep),
    ("scope", at_the_end_of_a_scope),
];

#[inline(never)]
fn at_a_lock() {
    *LOCK.lock().unwrap_or_else(PoisonError::into_inner) += 1;
}

#[inline(never)]
fn at_a_lock_for_readers() {
    black_box(*SHUT.read().unwrap_or_else(PoisonError::into_inner));
}

#[inline(never)]
fn at_a_lock_for_writers() {
    *READ.write().unwrap_or_else(PoisonError::into_inner) += 1;
}

#[inline(never)]
fn at_a_bell() {
    let rung = RUNG.lock().unwrap_or_else(PoisonError::into_inner);
    drop(BELL.wait_while(rung, |rung| !*rung));
}

#[inline(never)]
fn at_a_channel() {
    let (_open, receiver) = mpsc::channel::<u64>();
    let _ = black_box(receiver.recv());
}

#[inline(never)]
fn at_a_pipe() {
    let (mut reader, _writer) = std::io::pipe().expect("a pipe");
    let _ = black_box(reader.read(&mut [0]));
}

#[inline(never)]
fn at_events() {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let events: OwnedFd = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let data = epoll::EventData::new_u64(0);
    epoll::add(&events, &reader, data, epoll::EventFlags::IN).expect("a pipe can be watched");
    // A wait for events is never restarted after a signal.
    let mut one: Vec<epoll::Event> = Vec::with_capacity(1);
    while epoll::wait(&events, rustix::buffer::spare_capacity(&mut one), None).is_err() {}
}

#[inline(never)]
fn asleep() {
    thread::sleep(Duration::from_hours(1));
    black_box(());
}

#[inline(never)]
fn parked() {
    loop {
        thread::park();
    }
}

#[inline(never)]
fn at_a_barrier() {
    black_box(NEVER.wait());
}

/// The comparison never ends, so that the stack goes from Rust through C into Rust.
extern "C" fn compare(_: *const c_void, _: *const c_void) -> c_int {
    parked();
    0
}

#[inline(never)]
fn sorting_in_c() {
    let mut numbers = [2, 1];
    let (count, size) = (numbers.len(), size_of::<i32>());
    // SAFETY: the array has this many elements of this size, and the comparison reads none.
    unsafe { libc::qsort(numbers.as_mut_ptr().cast(), count, size, Some(compare)) };
    black_box(numbers);
}

#[inline(never)]
fn deep() {
    #[inline(never)]
    fn descend(depth: u64) -> u64 {
        let space = black_box([depth; 64]);
        if depth == 0 {
            parked();
            return 0;
        }
        descend(depth - 1) + space[0]
    }
    // Deeper than the first copy of a stack is long, and not so deep that the text leaves any out.
    black_box(descend(150));
}

#[inline(never)]
fn at_the_end_of_a_scope() {
    thread::scope(|scope| {
        scope.spawn(parked);
    });
}

#[inline(never)]
fn compute() {
    loop {
        COUNTER.fetch_add(1, Ordering::Relaxed);
    }
}

#[gmr::main]
fn main() {
    let _lock = LOCK.lock().expect("it is free");
    let _shut = SHUT.write().expect("it is free");
    let _read = READ.read().expect("it is free");
    let start = |name: String, way: fn()| {
        let run = move || {
            STARTED.wait();
            way();
        };
        thread::Builder::new().name(name).spawn(run).expect("a thread");
    };
    for number in 0..EACH {
        for (name, way) in WAYS {
            start(format!("{name}-{number}"), way);
        }
    }
    for number in 0..COMPUTING {
        start(format!("compute-{number}"), compute);
    }
    STARTED.wait();
    gmr_tests::converse(|_| COUNTER.load(Ordering::Relaxed).to_string());
}
