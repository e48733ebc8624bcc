//! Many threads, deep in calls, all waiting: what the benchmarks take reports of. `crowd THREADS DEPTH`

use std::thread;

use std::hint::black_box;

/// The frames of std and of this program that stand below the recursion: with these, `DEPTH` is the depth of a whole stack.
const BELOW: usize = 12;

#[gmr::main(product = "crowd", version = "1.0")]
fn main() {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let threads: usize = numbers.next().unwrap_or(100);
    let depth: usize = numbers.next().unwrap_or(30);
    for number in 1..threads {
        thread::Builder::new()
            .name(format!("crowd-{number}"))
            .stack_size(256 << 10)
            .spawn(move || descend(depth.saturating_sub(BELOW)))
            .expect("a thread");
    }
    gmr_tests::converse(str::to_owned);
}

#[inline(never)]
fn descend(depth: usize) -> usize {
    if depth == 0 {
        loop {
            thread::park();
        }
    }
    descend(black_box(depth - 1)) + black_box(1)
}
