//! Many threads, deep in calls, all waiting: the benchmarks take reports of this program.
//!
//! `crowd THREADS DEPTH [different]`
//!
//! `DEPTH` is the depth of the whole stack of each thread but the main one, as a debugger counts
//! it. All these stacks are the same; with `different`, no two of the first thousand are. Each line
//! on standard input is answered with what the handler has cost since the last one, in the build
//! that measures it.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

/// The frames of the standard library and of this program around the recursion, in an optimized
/// build.
const AROUND: usize = 19;

#[gmr::main(product = "crowd", version = "1.0")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().map(|argument| argument.parse().expect("a number"));
    let (threads, depth): (usize, usize) = (number().unwrap_or(100), number().unwrap_or(30));
    let different = arguments.next().is_some_and(|argument| argument == "different");
    let all_there: &'static Barrier = Box::leak(Box::new(Barrier::new(threads)));
    for number in 1..threads {
        let way = if different { number } else { 0 };
        thread::Builder::new()
            .name(format!("crowd-{number}"))
            .stack_size(256 << 10)
            .spawn(move || descend(depth.saturating_sub(AROUND), way, all_there))
            .expect("a thread");
    }
    all_there.wait();
    gmr_tests::converse(|_| handler_times());
}

/// Calls itself through one of two functions, by the bits of `way`, and waits at the bottom.
#[inline(never)]
fn descend(depth: usize, way: usize, all_there: &Barrier) -> usize {
    if depth == 0 {
        all_there.wait();
        loop {
            thread::park();
        }
    }
    let next = if way & 1 == 0 { descend } else { step_aside };
    black_box(next)(black_box(depth - 1), way >> 1, all_there) + black_box(1)
}

#[inline(never)]
fn step_aside(depth: usize, way: usize, all_there: &Barrier) -> usize {
    if depth == 0 {
        return descend(depth, way, all_there);
    }
    let next = if way & 1 == 0 { descend } else { step_aside };
    black_box(next)(black_box(depth - 1), way >> 1, all_there) + black_box(2)
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
