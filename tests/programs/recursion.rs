//! A thread far down in a recursion, beside one that waits for a lock. It answers each line when
//! both are there.

use std::sync::{Barrier, Mutex};
use std::thread;

/// So deep that looking at each pair of frames would take minutes.
const DEPTH: u64 = 20_000;

static LOCK: Mutex<()> = Mutex::new(());
static ARRIVED: Barrier = Barrier::new(2);

#[inline(never)]
fn descend(depth: u64) -> u64 {
    if depth == 0 {
        ARRIVED.wait();
        thread::park();
        return 0;
    }
    descend(depth - 1) + std::hint::black_box(depth)
}

#[gmr::main]
fn main() {
    let _lock = LOCK.lock().expect("it is free");
    let deep = thread::Builder::new().name("deep".into()).stack_size(64 << 20);
    deep.spawn(|| descend(DEPTH)).expect("a thread");
    let waiting = thread::Builder::new().name("waiting".into());
    waiting.spawn(|| drop(LOCK.lock())).expect("a thread");
    ARRIVED.wait();
    gmr_tests::converse(|_| DEPTH.to_string());
}
