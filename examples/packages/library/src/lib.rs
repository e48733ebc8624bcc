//! A pool of connections. With the feature `gmr`, reports of the program show how full it is.

use std::sync::atomic::{AtomicU32, Ordering};

const LIMIT: u32 = 8;

static OPEN: AtomicU32 = AtomicU32::new(0);

/// A connection, which returns to the pool when it is dropped.
#[derive(Debug)]
pub struct Connection(());

/// Takes a connection from the pool, or `None` if all are taken.
pub fn connect() -> Option<Connection> {
    let taken = |open| (open < LIMIT).then_some(open + 1);
    OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok().map(|_| Connection(()))
}

impl Drop for Connection {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "gmr")]
mod report {
    use std::sync::atomic::Ordering;

    use serde::Serialize;

    #[derive(Serialize)]
    struct Pool {
        open: u32,
        limit: u32,
    }

    /// Titles of sections are shared by all crates of a program, so this one names the library.
    #[gmr::section("Shop Pool")]
    fn pool() -> Pool {
        Pool { open: super::OPEN.load(Ordering::Relaxed), limit: super::LIMIT }
    }
}
