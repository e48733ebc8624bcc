//! Reads this process's own memory through the kernel, which returns an error where a load
//! instruction would crash.
//!
//! Other threads map and unmap memory while a report is made: a stack, a library, the page behind a
//! stale pointer. A copy made by `process_vm_readv` stops at the first page that is not mapped.

#![allow(unsafe_code)]

use std::sync::atomic::AtomicI32;

/// The process id when the capture signal was prepared. It saves the signal handler a system call.
pub(crate) static PID: AtomicI32 = AtomicI32::new(0);

/// Fills `buffer` with the bytes from `address` on, and returns how many could be copied.
pub(crate) fn read(address: u64, buffer: &mut [u8]) -> usize {
    // Not `PID`: after a fork that would be the id of another process, with other memory.
    let pid = std::process::id().cast_signed();
    // SAFETY: the destination is an exclusive borrow of exactly this length.
    unsafe { read_raw(pid, address, buffer.as_mut_ptr(), buffer.len()) }
}

/// Copies `length` bytes from `address` in the process `pid`, which is this one, to `destination`,
/// and returns how many could be copied. It may be called in a signal handler: it is one system
/// call, and changes nothing but the destination and `errno`.
///
/// # Safety
/// `destination` must be valid for writes of `length` bytes, and nothing else may access them
/// during the call.
pub(crate) unsafe fn read_raw(pid: i32, address: u64, destination: *mut u8, length: usize) -> usize {
    let local = libc::iovec { iov_base: destination.cast(), iov_len: length };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length };
    // SAFETY: `local` describes memory that is valid for writes, as the caller promises. The kernel
    // checks every page of `remote` itself, and only reads from it.
    let copied = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(copied).unwrap_or(0)
}

/// Copies exactly `length` bytes from `address` on; `None` if not all of them can be read.
pub(crate) fn read_exact(address: u64, length: usize) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    // When memory is short, this costs the report a module; a failed infallible allocation would
    // abort the process.
    buffer.try_reserve_exact(length).ok()?;
    buffer.resize(length, 0);
    (read(address, &mut buffer) == length).then_some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_memory_is_copied() {
        let source = *b"guru meditation";
        assert_eq!(read_exact(source.as_ptr() as u64, source.len()).unwrap(), source);
    }

    #[test]
    fn reading_unmapped_memory_does_not_crash() {
        assert_eq!(read(16, &mut [0; 8]), 0);
        assert_eq!(read(u64::MAX - 4096, &mut [0; 8]), 0);
        assert_eq!(read_exact(16, 8), None);
    }
}
