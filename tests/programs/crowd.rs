//! Many threads, deep in calls, that wait or run: the benchmarks take reports of this program.
//!
//! `crowd THREADS DEPTH [different | running]`
//!
//! `DEPTH` is the depth of the whole stack of each thread but the main one, as a debugger counts
//! it. All these stacks are the same; with `different`, no two of the first thousand are. With
//! `running`, the threads do not wait, so that a report has to signal them. Each line on standard
//! input is answered with what the handler has cost since the last one, in the build that measures
//! it.

use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::thread;

/// The frames of the standard library and of this program around the recursion, in an optimized
/// build.
const AROUND: usize = 19;

/// What is common to all threads.
struct Crowd {
    all_there: Barrier,
    is_running: bool,
}

#[gmr::main(product = "crowd", version = "1.0")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().map(|argument| argument.parse().expect("a number"));
    let (threads, depth): (usize, usize) = (number().unwrap_or(100), number().unwrap_or(30));
    let mode = arguments.next().unwrap_or_default();
    let crowd = Crowd { all_there: Barrier::new(threads), is_running: mode == "running" };
    let crowd: &'static Crowd = Box::leak(Box::new(crowd));
    for number in 1..threads {
        let way = if mode == "different" { number } else { 0 };
        thread::Builder::new()
            .name(format!("crowd-{number}"))
            .stack_size(256 << 10)
            .spawn(move || descend(depth.saturating_sub(AROUND), way, crowd))
            .expect("a thread");
    }
    crowd.all_there.wait();
    gmr_tests::converse(|_| handler_times());
}

/// Calls itself through one of two functions, by the bits of `way`, and waits or runs at the
/// bottom.
#[inline(never)]
fn descend(depth: usize, way: usize, crowd: &Crowd) -> usize {
    if depth == 0 {
        crowd.all_there.wait();
        loop {
            if crowd.is_running { spin_loop() } else { thread::park() }
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
