//! Reading this process's own memory through the kernel, which answers with an error where a load instruction would crash.
//!
//! Other threads map and unmap memory while a report is made: a stack, a library, the page behind a stale pointer. A copy made by
//! `process_vm_readv` stops at the first page that is not there.

#![allow(unsafe_code)]

use std::sync::atomic::AtomicI32;

/// The process id, as the kernel knew it when gmr was prepared: for the signal handler, which then needs no further system call.
pub(crate) static PID: AtomicI32 = AtomicI32::new(0);

/// Copies from `address` on into `buffer`, and returns how many bytes could be copied.
pub(crate) fn read(address: u64, buffer: &mut [u8]) -> usize {
    // Asked for anew: after a fork, the id in `PID` would be that of another process, with another memory.
    let pid = std::process::id().cast_signed();
    // SAFETY: the destination is an exclusive borrow of exactly this length.
    unsafe { read_raw(pid, address, buffer.as_mut_ptr(), buffer.len()) }
}

/// Copies `length` bytes from `address` in the process `pid`, which is this one, to `destination`, and returns how many could be copied. It may be called in a signal handler: it is one
/// system call and changes nothing but the destination and `errno`.
///
/// # Safety
/// `destination` must be valid for writes of `length` bytes, and nobody else may access them during the call.
pub(crate) unsafe fn read_raw(pid: i32, address: u64, destination: *mut u8, length: usize) -> usize {
    let local = libc::iovec { iov_base: destination.cast(), iov_len: length };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length };
    // SAFETY: `local` describes memory that the caller vouches for. The kernel checks every page of `remote` itself, and only reads from it.
    let copied = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(copied).unwrap_or(0)
}

/// Copies exactly `length` bytes from `address` on, or nothing.
pub(crate) fn read_exact(address: u64, length: usize) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    // Where memory is nearly gone, a refusal costs a module; a failed allocation would end the process.
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
    fn unmapped_memory_is_an_answer_and_no_crash() {
        assert_eq!(read(16, &mut [0; 8]), 0);
        assert_eq!(read(u64::MAX - 4096, &mut [0; 8]), 0);
        assert_eq!(read_exact(16, 8), None);
    }
}
