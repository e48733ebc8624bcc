//! Platforms on which gmr cannot list threads: the same functions, which say so.

use std::io;

use super::ThreadInfo;

/// Threads can be listed on Linux only.
pub(crate) fn list(_private: Option<i32>) -> io::Result<Vec<ThreadInfo>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "that can be done on Linux for x86_64 and aarch64 only"))
}

/// A thread of which nothing is known but its id.
pub(crate) fn info(tid: u32, _private: Option<i32>) -> ThreadInfo {
    ThreadInfo { tid, ..ThreadInfo::default() }
}
