//! Has the kernel copy this process's own memory: it returns an error where a load instruction
//! would crash.
//!
//! Other threads map and unmap memory while a report is made: a stack, a library, the page behind a
//! stale pointer. A copy made by `process_vm_readv` stops at the first page that is not mapped.

#![allow(unsafe_code)]

use std::sync::atomic::AtomicI32;

use super::current_tid;

/// The process id when the capture signal was prepared. It saves the signal handler a system call.
pub(crate) static PID: AtomicI32 = AtomicI32::new(0);

/// Fills `buffer` with the bytes from `address` on, and returns how many could be copied.
pub(crate) fn read(address: u64, buffer: &mut [u8]) -> usize {
    let tid = current_tid().cast_signed();
    // SAFETY: the destination is an exclusive borrow of exactly this length.
    unsafe { read_raw(tid, address, buffer.as_mut_ptr(), buffer.len()) }
}

/// Copies `length` bytes from `address` to `destination`, and returns how many could be copied.
/// `tid` is the calling thread's id: that of the process is of no use once the main thread has
/// ended. It may be called in a signal handler: it is one system call, and changes nothing but the
/// destination and `errno`.
///
/// # Safety
/// `destination` must be valid for writes of `length` bytes, and nothing else may access them
/// during the call.
pub(crate) unsafe fn read_raw(tid: i32, address: u64, destination: *mut u8, length: usize) -> usize {
    let local = libc::iovec { iov_base: destination.cast(), iov_len: length };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length };
    // SAFETY: `local` describes memory that is valid for writes, as the caller promises. The kernel
    // checks every page of `remote` itself, and only reads from it.
    let copied = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(copied).unwrap_or(0)
}
