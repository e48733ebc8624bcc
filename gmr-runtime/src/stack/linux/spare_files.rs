//! Descriptors for a report about a process that has none left.
//!
//! A leak of descriptors is one of the reasons to ask for a report, and `/proc` cannot be read without one. A thread can have a table of descriptors of its own: the copies of a
//! few are closed in it, which closes nothing in the program's.

#![allow(unsafe_code)]

use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Resource;

use crate::own_thread;

/// How many descriptors are made room for: those of a generator, of the thread that helps it, of the symbolizer, and some to spare.
const SPARE: u64 = 16;

/// Runs `run` where files can be opened: on this thread, or, if the process has used up its descriptors, on another one with a table of its own.
///
/// That table keeps the files that the program closes meanwhile open until `run` has ended.
pub(crate) fn with_files<T: Send>(run: impl Fn() -> T + Sync) -> T {
    if !exhausted() {
        return run();
    }
    let elsewhere = thread::scope(|scope| {
        let detached = || {
            detach();
            run()
        };
        let thread = own_thread::spawn_scoped(scope, "gmr section", detached).ok()?;
        thread.join().ok()
    });
    // No thread to be had either: then as far as it goes.
    elsewhere.unwrap_or_else(run)
}

fn exhausted() -> bool {
    let opened = rustix::fs::open("/proc/self/task", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    matches!(opened, Err(Errno::MFILE))
}

/// Gives the calling thread a table of its own, in which the highest descriptors are closed.
fn detach() {
    let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).min(1 << 30);
    let first = limit.saturating_sub(SPARE).max(3);
    // SAFETY: CLOSE_RANGE_UNSHARE takes the table apart from the program's before it closes anything. The calling thread was started for this, and owns no descriptor; whatever it
    // opens from here on is its own.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) };
}
