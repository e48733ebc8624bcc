//! Whether memory can still be allocated, as far as the kernel and the limits of the process tell.

#![allow(unsafe_code)]

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Addresses that threads take for moments. When a thread allocates for the first time, glibc
/// reserves 128 MiB and gives up half of it again (`new_heap` in `malloc/arena.c`). Where too few
/// addresses are left, an allocation that another thread makes at that moment fails, and aborts the
/// process. Two threads may do so at a time.
const RESERVED_BY_THREADS: usize = 256 << 20;

/// Whether this much more memory can be allocated, as far as the limits of the process tell.
pub(crate) fn memory_is_left(bytes: usize) -> bool {
    // If the kernel refuses to say, there may be a limit. (rustix's `getrlimit` would panic.)
    let may_be_limited = |resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is valid for writes.
        let result = unsafe { libc::getrlimit(resource, &raw mut limit) };
        result != 0 || limit.rlim_cur != libc::RLIM_INFINITY
    };
    // Without a limit, Linux grants any length, and memory would cost a process that keeps all of
    // it in RAM (`mlockall`) what is mapped.
    mappings_are_left(1)
        && (!may_be_limited(libc::RLIMIT_AS) || can_map(bytes + RESERVED_BY_THREADS, libc::PROT_NONE))
        && (!may_be_limited(libc::RLIMIT_DATA) || can_map(bytes, libc::PROT_READ | libc::PROT_WRITE))
}

/// How many pages a test of the kernel may make accessible.
const MAX_ISLANDS: usize = 32;

/// What such a test maps: each of these pages between two that are not accessible.
fn sea() -> usize {
    (2 * MAX_ISLANDS + 1) * rustix::param::page_size()
}

/// A mapping that the kernel has not removed: the next test begins with that, and does not add
/// another one.
static NOT_REMOVED: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());

/// Whether the kernel makes mappings, changes their access and removes them, and the process may
/// have two more for each of these `islands`, which are no more than [`MAX_ISLANDS`].
///
/// A seccomp filter can refuse each of these calls, and `vm.max_map_count` limits the number of
/// mappings. std and glibc make them for each thread that starts. Where they cannot, std aborts the
/// process, and so does an allocation in a thread that has no arena yet.
pub(crate) fn mappings_are_left(islands: usize) -> bool {
    let not_removed = NOT_REMOVED.swap(null_mut(), Ordering::AcqRel);
    if !not_removed.is_null() && !remove(not_removed) {
        return false;
    }
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, wherever the kernel puts it, changes no other memory.
    let mapped = unsafe { libc::mmap(null_mut(), sea(), libc::PROT_NONE, kind, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return false;
    }
    let page = rustix::param::page_size();
    let are_left = (0..islands.min(MAX_ISLANDS)).all(|island| {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the page is part of the mapping made above, which nothing refers to.
        unsafe { libc::mprotect(mapped.byte_add((2 * island + 1) * page), page, access) == 0 }
    });
    remove(mapped) && are_left
}

/// Removes the mapping of a test. If the kernel refuses that, notes it.
fn remove(mapped: *mut libc::c_void) -> bool {
    // SAFETY: the mapping was made for a test, and nothing refers to it.
    let is_removed = unsafe { libc::munmap(mapped, sea()) == 0 };
    if !is_removed {
        NOT_REMOVED.store(mapped, Ordering::Release);
    }
    is_removed
}

fn can_map(bytes: usize, access: libc::c_int) -> bool {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, wherever the kernel puts it, changes no other memory.
    let mapped = unsafe { libc::mmap(null_mut(), bytes, access, kind, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping was made above, and nothing refers to it.
    unsafe { libc::munmap(mapped, bytes) };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn memory_is_left_where_there_is_no_limit() {
        assert!(memory_is_left(1 << 20));
        assert!(mappings_are_left(MAX_ISLANDS));
        assert!(NOT_REMOVED.load(Ordering::Relaxed).is_null());
    }
}
