//! Descriptors for a report about a process that has none left.
//!
//! A leak of descriptors is one of the reasons to ask for a report, and `/proc` cannot be read without one. A thread can have a table of descriptors of its own: the copies of a
//! few are closed in it, which closes nothing in the program's.

#![allow(unsafe_code)]

use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::sys::own_threads;

/// Runs `run` where files can be opened: on this thread, or, if the process has used up its descriptors, on another one with a table of its own.
///
/// The table holds none of the program's files but the standard ones: what the program closes meanwhile is closed.
pub(crate) fn with_files<T: Send>(run: impl Fn() -> T + Sync) -> T {
    if !exhausted() {
        return run();
    }
    let elsewhere = thread::scope(|scope| {
        let detached = || {
            detach();
            run()
        };
        let thread = own_threads::spawn_scoped(scope, "gmr section", detached).ok()?;
        thread.join().ok()
    });
    // No thread to be had either: then as far as it goes.
    elsewhere.unwrap_or_else(run)
}

fn exhausted() -> bool {
    let opened = rustix::fs::open("/proc/self/task", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    matches!(opened, Err(Errno::MFILE))
}

/// Gives the calling thread a table of its own, with nothing but the three standard files in it.
fn detach() {
    // SAFETY: CLOSE_RANGE_UNSHARE takes the table apart from the program's before it closes anything. The calling thread was started for this, and owns no descriptor; whatever it
    // opens from here on is its own.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE)
    };
}
