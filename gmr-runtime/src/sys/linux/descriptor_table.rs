//! A descriptor table of gmr's own for the threads that read files.
//!
//! A program may close descriptors that it did not open, as daemons do: every number above 2. If
//! gmr's file were among them, the program's next file would get its number, and gmr would read and
//! close that one. So gmr opens files on threads that have their own table. The program cannot
//! close what is in there, and gmr cannot close what is not. It also works in a process that has
//! used up its descriptors: leaked ones are one of the reasons to request a report.
//!
//! No code of the program may run on such a thread: its descriptors are not in the table.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::thread;

use crate::sys::{own_threads, proc};

thread_local! {
    /// Whether the thread has its own table; `None` if it has not asked for one.
    static SEPARATED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Runs `run` on a thread with a descriptor table of its own: on this one if it has one, or else on
/// a new one.
pub(crate) fn with_files<T: Send>(run: impl Fn() -> T + Sync) -> T {
    if SEPARATED.get().is_some() {
        return run();
    }
    let mut result = None;
    run_apart(&mut || result = Some(run()));
    // If there is no thread, `run` uses the program's table.
    result.unwrap_or_else(run)
}

/// Runs `run` on a new thread with a table of its own, if one can be started.
fn run_apart(run: &mut (dyn FnMut() + Send)) {
    thread::scope(|scope| {
        let separated = || {
            separate_files();
            run();
        };
        if let Ok(thread) = own_threads::spawn_scoped(scope, "gmr files", Box::new(separated)) {
            let _ = thread.join();
        }
    });
}

/// Whether the calling thread has a table that the program does not share.
pub(crate) fn is_separate() -> bool {
    SEPARATED.get() == Some(true)
}

/// Notes that the calling thread was started by one with [a separate table](is_separate), and
/// shares it.
pub(crate) fn share_separate() {
    SEPARATED.set(Some(true));
}

/// Gives the calling thread, which must be one of gmr's own and own no descriptor, a table of its
/// own. It holds the three standard files and [the descriptor of `/proc`](proc::kept), so a file
/// that the program closes meanwhile really is closed. Threads that the calling thread starts share
/// the table.
///
/// Kernels before 5.9 cannot do that: there, gmr's files are in the program's table.
pub(crate) fn separate_files() {
    let kept = proc::kept().unwrap_or(2);
    let separated = close_copies(kept + 1, libc::c_uint::MAX);
    if kept > 3 {
        close_copies(3, kept - 1);
    }
    // The program may have closed it meanwhile, and opened something else.
    if kept > 2 && proc::kept() != Some(kept) {
        close_copies(kept, kept);
    }
    SEPARATED.set(Some(separated));
}

/// Gives the calling thread, which must be one of gmr's own and own no descriptor, an empty table
/// of its own. For threads that last: with a copy of a standard file, they would keep it open after
/// the program has closed it, and whoever reads the other end would wait for its end. False if the
/// kernel cannot separate the tables.
pub(crate) fn leave_files() -> bool {
    let separated = close_copies(0, libc::c_uint::MAX);
    SEPARATED.set(Some(separated));
    separated
}

/// Like [`leave_files`], also where the kernel has no `close_range`: there, the thread has copies of
/// the program's descriptors for as long as it takes to close them one by one. False if the kernel
/// cannot separate the tables, or does not list the descriptors.
pub(crate) fn leave_or_close_files() -> bool {
    leave_files() || close_one_by_one()
}

fn close_one_by_one() -> bool {
    // SAFETY: the calling thread gets a copy of the table, and the program keeps its own.
    if unsafe { libc::unshare(libc::CLONE_FILES) } != 0 {
        return false;
    }
    let Ok(listed) = std::fs::read_dir("/proc/thread-self/fd") else { return false };
    let numbers: Vec<libc::c_int> =
        listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        // SAFETY: the table is that of the calling thread alone, which owns no descriptor in it any
        // more: the list's own was closed above.
        unsafe { libc::close(number) };
    }
    true
}

/// Closes the descriptors from the first to the last in a table of the calling thread's own.
fn close_copies(first: libc::c_uint, last: libc::c_uint) -> bool {
    // SAFETY: CLOSE_RANGE_UNSHARE separates the table from the program's before it closes anything.
    // The calling thread owns no descriptor; whatever it opens from here on is its own.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_UNSHARE) == 0 }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn without_close_range_no_descriptor_of_the_program_is_kept() {
        let programs = File::open("/dev/null").unwrap();
        let path = format!("/proc/thread-self/fd/{}", programs.as_raw_fd());
        let left = thread::spawn(|| {
            assert!(close_one_by_one());
            // The list itself is open.
            std::fs::read_dir("/proc/thread-self/fd").unwrap().count()
        });
        assert_eq!(left.join().unwrap(), 1);
        assert!(std::fs::read_link(&path).is_ok(), "it is still open here");
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn a_file_is_in_a_table_that_the_program_does_not_share() {
        let programs = File::open("/dev/null").unwrap();
        let path = format!("/proc/thread-self/fd/{}", programs.as_raw_fd());
        assert!(std::fs::read_link(&path).is_ok());
        let (its, nested) = with_files(|| {
            let here = thread::current().id();
            (std::fs::read_link(&path).is_ok(), with_files(|| thread::current().id()) == here)
        });
        assert!(!its, "the program's file is not in it");
        assert!(nested, "one table is enough");
        assert!(std::fs::read_link(&path).is_ok(), "and is still open here");
    }
}
