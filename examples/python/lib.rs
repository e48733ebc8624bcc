//! A library with a copy of gmr, which a Python process loads: `main.py` beside this file.
//!
//! Build it with `cargo build --example python-extension`, and run
//! `python3 examples/python/main.py target/debug/examples/libpython_extension.so`. It prints its
//! process id; request a report with `kill -USR2 PID`. Ctrl-C ends the program.

// For `no_mangle`.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

static QUOTES: AtomicU64 = AtomicU64::new(0);

/// Installs gmr. Returns whether that was possible.
// SAFETY: no other library of the process has a symbol that begins with `pricing_`.
#[unsafe(no_mangle)]
pub extern "C" fn pricing_init() -> bool {
    let builder = gmr::Builder::new()
        .product("pricing")
        .version(env!("CARGO_PKG_VERSION"))
        .section("Quotes", || QUOTES.load(Ordering::Relaxed));
    match builder.install() {
        Ok(guard) => {
            guard.keep();
            true
        }
        Err(error) => {
            eprintln!("pricing: no reports: {error}");
            false
        }
    }
}

/// For a child that Python has forked: gmr's threads are in the parent only.
// SAFETY: no other library of the process has a symbol that begins with `pricing_`.
#[unsafe(no_mangle)]
pub extern "C" fn pricing_after_fork() -> bool {
    gmr::after_fork().is_ok()
}

/// The price of an order, which takes its time.
// SAFETY: no other library of the process has a symbol that begins with `pricing_`.
#[unsafe(no_mangle)]
pub extern "C" fn pricing_quote(order: u64) -> u64 {
    QUOTES.fetch_add(1, Ordering::Relaxed);
    ask_the_supplier(order)
}

fn ask_the_supplier(order: u64) -> u64 {
    thread::sleep(Duration::from_secs(5));
    order % 100
}
