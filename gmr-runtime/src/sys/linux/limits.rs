//! Whether memory can still be allocated, as far as the limits of the process tell.

#![allow(unsafe_code)]

/// Addresses that threads take for moments. When a thread allocates for the first time, glibc
/// reserves 128 MiB and gives up half of it again (`new_heap` in `malloc/arena.c`). Where too few
/// addresses are left, an allocation that another thread makes at that moment fails, and aborts the
/// process. Two threads may do so at a time.
const RESERVED_BY_THREADS: usize = 256 << 20;

/// Whether this much more memory can be allocated, as far as the limits of the process tell.
pub(crate) fn memory_is_left(bytes: usize) -> bool {
    use rustix::process::{Resource, getrlimit};
    let [addresses, data] = [Resource::As, Resource::Data].map(|limit| getrlimit(limit).current.is_some());
    // Without a limit, Linux grants any length, and memory would cost a process that keeps all of it
    // in RAM (`mlockall`) what is mapped.
    (!addresses || can_map(bytes + RESERVED_BY_THREADS, libc::PROT_NONE))
        && (!data || can_map(bytes, libc::PROT_READ | libc::PROT_WRITE))
}

fn can_map(bytes: usize, access: libc::c_int) -> bool {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, wherever the kernel puts it, changes no other memory.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
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
    }
}
