//! Platforms on which gmr cannot list threads: the same functions, which return an error or
//! nothing.

use std::io;
use std::time::{Duration, Instant};

use super::{SocketHolder, ThreadInfo};

mod rest;

pub(crate) use rest::Rest;

/// Threads.
pub(crate) type List = Vec<ThreadInfo>;

/// Always an error: threads can be listed on Linux only.
pub(crate) fn list(_capture_signal: Option<i32>) -> io::Result<List> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "threads can be listed on Linux (x86_64, aarch64) only"))
}

/// The same.
pub(crate) use list as look;

/// A thread with nothing but its id.
pub(crate) fn info(tid: u32, _capture_signal: Option<i32>) -> ThreadInfo {
    ThreadInfo { tid, ..ThreadInfo::default() }
}

/// Always an error, as above.
#[cfg(target_os = "linux")]
pub(crate) fn open_descriptors() -> io::Result<u64> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "descriptors can be listed on Linux (x86_64, aarch64) only",
    ))
}

/// Zero: there are no lists.
pub(crate) fn since_list(_report: Instant) -> Duration {
    Duration::ZERO
}

/// All of them: it is not known whether threads have run.
pub(crate) fn moved(tids: &[u32], _report: Instant) -> Vec<u32> {
    tids.to_vec()
}

/// None.
pub(crate) fn processor_times(tids: &[u32]) -> Vec<Option<Duration>> {
    vec![None; tids.len()]
}

/// None: which process is at the other end of a connection is not known.
pub(crate) fn peers<'a>(_connections: &[&'a str]) -> Vec<(&'a str, SocketHolder)> {
    Vec::new()
}
