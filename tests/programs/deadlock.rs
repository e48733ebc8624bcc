//! The main thread and a section wait for the same lock, forever.

use std::sync::Mutex;

static LEDGER: Mutex<u64> = Mutex::new(0);

#[gmr::section(timeout = "300ms")]
fn ledger() -> u64 {
    read_the_ledger()
}

#[inline(never)]
fn read_the_ledger() -> u64 {
    *LEDGER.lock().expect("no thread panics with it")
}

#[gmr::section]
fn bystander() -> &'static str {
    "whole"
}

/// Takes the lock twice: std's mutex never returns from that.
#[inline(never)]
fn close_the_books() {
    let first = LEDGER.lock();
    gmr_tests::say("ready");
    let second = LEDGER.lock();
    std::hint::black_box((&first.is_ok(), &second.is_ok()));
}

#[gmr::main]
fn main() {
    close_the_books();
}
