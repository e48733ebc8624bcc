//! Whether memory can still be allocated, as far as the limits of the process tell.

#![allow(unsafe_code)]

/// Whether this much more memory can be allocated, as far as the limits of the process tell.
pub(crate) fn memory_is_left(bytes: usize) -> bool {
    use rustix::process::{Resource, getrlimit};
    let is_limited = [Resource::As, Resource::Data].map(|limit| getrlimit(limit).current.is_some());
    // Without a limit, Linux grants any length, and this would cost a process that keeps all of its
    // memory in RAM (`mlockall`) what it maps.
    if is_limited == [false; 2] {
        return true;
    }
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
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
