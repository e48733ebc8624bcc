//! File descriptors for a report about a process that has run out of them.
//!
//! Leaked descriptors are one of the reasons to request a report, and reading `/proc` needs one. A
//! thread can have a descriptor table of its own. Closing the inherited copies in it frees numbers
//! without closing anything in the program's table.

#![allow(unsafe_code)]

use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::sys::own_threads;

/// Runs `run` where files can be opened: on this thread or, if the process has used up its
/// descriptors, on a new thread with a descriptor table of its own.
///
/// That table holds no files of the program but the three standard ones, so a file that the program
/// closes meanwhile really is closed.
pub(crate) fn with_files<T: Send>(run: impl Fn() -> T + Sync) -> T {
    if !exhausted() {
        return run();
    }
    let result = thread::scope(|scope| {
        let detached = || {
            detach();
            run()
        };
        let thread = own_threads::spawn_scoped(scope, "gmr section", detached).ok()?;
        thread.join().ok()
    });
    // If there is no thread either, `run` gets as far as it can without descriptors.
    result.unwrap_or_else(run)
}

fn exhausted() -> bool {
    let opened = rustix::fs::open("/proc/self/task", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    matches!(opened, Err(Errno::MFILE))
}

/// Gives the calling thread a descriptor table of its own that holds the three standard files only.
fn detach() {
    // SAFETY: CLOSE_RANGE_UNSHARE separates the table from the program's before it closes anything.
    // The calling thread was started for this purpose and owns no descriptor; whatever it opens
    // from here on is its own.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE)
    };
}
