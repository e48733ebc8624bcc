//! Many threads, deep in calls, that wait or run: the benchmarks take reports of this program.
//!
//! `crowd THREADS DEPTH [different | running | locked | locked-different | deadlocked]`
//!
//! `DEPTH` is the depth of the whole stack of each thread but the main one, as a debugger counts
//! it. All these stacks are the same; with `different`, no two of the first thousand are. With
//! `running`, the threads do not wait, so that a report has to signal them. With `locked`, they
//! wait for a lock that the first one holds, and with `locked-different` their stacks differ as
//! well. With `deadlocked`, the first two wait for each other's locks. Each line on standard input
//! is answered with what the handler has cost since the last one, in the build that measures it.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

/// The frames of the standard library and of this program around the recursion, in an optimized
/// build.
const AROUND: usize = 19;

/// What is common to all threads.
struct Crowd {
    all_there: Barrier,
    /// Those that have left the barrier.
    ready: AtomicUsize,
    mode: Mode,
    locks: [Mutex<u64>; 2],
}

impl Crowd {
    fn gather(&self) {
        self.all_there.wait();
        self.ready.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Parked,
    Running,
    Locked,
    Deadlocked,
}

#[gmr::main(product = "crowd", version = "1.0")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().map(|argument| argument.parse().expect("a number"));
    let (threads, depth): (usize, usize) = (number().unwrap_or(100), number().unwrap_or(30));
    let argument = arguments.next().unwrap_or_default();
    let mode = match argument.as_str() {
        "running" => Mode::Running,
        "locked" | "locked-different" => Mode::Locked,
        "deadlocked" => Mode::Deadlocked,
        _ => Mode::Parked,
    };
    let crowd = Crowd {
        all_there: Barrier::new(threads),
        ready: AtomicUsize::new(0),
        mode,
        locks: Default::default(),
    };
    let crowd: &'static Crowd = Box::leak(Box::new(crowd));
    for number in 1..threads {
        let way = if argument.ends_with("different") { number } else { 0 };
        thread::Builder::new()
            .name(format!("crowd-{number}"))
            .stack_size(256 << 10)
            .spawn(move || match (mode, number) {
                (Mode::Locked, 1) => hold(crowd),
                (Mode::Deadlocked, 1) => lock_both(&crowd.locks[0], &crowd.locks[1], crowd),
                (Mode::Deadlocked, 2) => lock_both(&crowd.locks[1], &crowd.locks[0], crowd),
                _ => {
                    descend(depth.saturating_sub(AROUND), way, crowd);
                }
            })
            .expect("a thread");
    }
    crowd.gather();
    // Threads that run take the processor from those that still leave the barrier.
    while crowd.ready.load(Ordering::Relaxed) < threads {
        thread::yield_now();
    }
    gmr_tests::converse(|_| handler_times());
}

/// Keeps the lock for which the others wait.
#[inline(never)]
fn hold(crowd: &Crowd) {
    let mut held = crowd.locks[0].lock().unwrap();
    crowd.gather();
    loop {
        *held += 1;
        thread::park();
    }
}

#[inline(never)]
fn lock_both(first: &Mutex<u64>, second: &Mutex<u64>, crowd: &Crowd) {
    let mut held = first.lock().unwrap();
    crowd.gather();
    *held += *second.lock().unwrap();
}

/// Calls itself through one of two functions, by the bits of `way`, and waits or runs at the
/// bottom.
#[inline(never)]
fn descend(depth: usize, way: usize, crowd: &Crowd) -> usize {
    if depth == 0 {
        crowd.gather();
        loop {
            match crowd.mode {
                Mode::Running => spin_loop(),
                Mode::Locked => *crowd.locks[0].lock().unwrap() += 1,
                Mode::Parked | Mode::Deadlocked => thread::park(),
            }
        }
    }
    let next = if way & 1 == 0 { descend } else { step_aside };
    black_box(next)(black_box(depth - 1), way >> 1, crowd) + black_box(1)
}

#[inline(never)]
fn step_aside(depth: usize, way: usize, crowd: &Crowd) -> usize {
    if depth == 0 {
        return descend(depth, way, crowd);
    }
    let next = if way & 1 == 0 { descend } else { step_aside };
    black_box(next)(black_box(depth - 1), way >> 1, crowd) + black_box(2)
}

/// `NANOSECONDS:OF PROCESSOR TIME:BYTES` of each answer.
#[cfg(feature = "bench")]
fn handler_times() -> String {
    let times = gmr_runtime::__bench::take_handler_times();
    times
        .iter()
        .map(|(took, computed, bytes)| format!("{took}:{computed}:{bytes}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(not(feature = "bench"))]
fn handler_times() -> String {
    String::new()
}
