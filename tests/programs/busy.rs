//! Many more computing threads than there are processors: each waits for a processor when its stack
//! is requested.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

const THREADS: usize = 32;
static STARTED: Barrier = Barrier::new(THREADS + 1);

#[inline(never)]
fn compute() {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

#[gmr::main]
fn main() {
    for number in 0..THREADS {
        let start = || {
            STARTED.wait();
            compute();
        };
        thread::Builder::new().name(format!("busy-{number}")).spawn(start).expect("a thread");
    }
    STARTED.wait();
    gmr_tests::converse(|_| String::new());
}
