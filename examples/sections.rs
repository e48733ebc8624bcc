//! Sections of your own: one that shows a struct, one that fails, one added at run time, and a
//! group of the configuration with a secret.
//!
//! Run it with `cargo run --example sections`. It prints its process id; from another terminal,
//! request a report with `kill -USR2 PID`. The report goes to standard error. Ctrl-C ends the
//! program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde::Serialize;

#[derive(Serialize)]
struct CacheStats {
    hits: u64,
    misses: u64,
}

/// The section "Cache Stats", titled after the function.
#[gmr::section]
fn cache_stats() -> CacheStats {
    CacheStats { hits: 17, misses: 3 }
}

/// A section that fails. The report shows the error in its place, and all other sections.
#[gmr::section("Replica")]
fn replica() -> Result<String, String> {
    let path = "/run/example/replica-state";
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

#[derive(Serialize)]
struct Database {
    url: &'static str,
    pool_size: u32,
    signing_key: gmr::Secret<&'static str>,
}

/// The group "Database" of the section "Configuration". The password in the URL is masked by its
/// position, the key by its type.
#[gmr::config]
fn database() -> Database {
    Database {
        url: "postgres://shop:correct-horse@db1.internal/orders",
        pool_size: 8,
        signing_key: gmr::Secret::new("battery-staple"),
    }
}

// The builder does what `#[gmr::main]` does, and its sections can own what they show.
fn main() -> Result<(), gmr::Error> {
    let served = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&served);
    gmr::Builder::new()
        .product("sections")
        .version(env!("CARGO_PKG_VERSION"))
        .section("Requests", move || format!("{} served", shown.load(Ordering::Relaxed)))
        .install()?
        .keep();

    println!("ready: kill -USR2 {}", std::process::id());
    loop {
        served.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(100));
    }
}
