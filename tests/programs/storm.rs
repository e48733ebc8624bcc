//! Busy threads that write to standard error themselves, as a service with a log does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

static WORK: AtomicU64 = AtomicU64::new(0);

#[gmr::section]
fn work() -> u64 {
    WORK.load(Ordering::Relaxed)
}

#[gmr::main(product = "storm", version = "1.0")]
fn main() {
    for _ in 0..4 {
        thread::spawn(|| {
            loop {
                WORK.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        });
    }
    gmr_tests::converse(|_| WORK.load(Ordering::Relaxed).to_string());
}
