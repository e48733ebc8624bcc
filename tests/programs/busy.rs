//! Many more computing threads than there are processors, as many as the argument says: each waits for
//! a processor when its stack is requested.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;

#[inline(never)]
fn compute() {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

#[gmr::main]
fn main() {
    let threads: usize = std::env::args().nth(1).expect("a number").parse().expect("a number");
    let started = Arc::new(Barrier::new(threads + 1));
    for number in 0..threads {
        let started = Arc::clone(&started);
        let start = move || {
            started.wait();
            compute();
        };
        thread::Builder::new().name(format!("busy-{number}")).spawn(start).expect("a thread");
    }
    started.wait();
    gmr_tests::converse(|_| String::new());
}
