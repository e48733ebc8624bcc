//! Reads this process's own memory, which other threads may unmap meanwhile, and which may have to
//! be fetched first.
//!
//! Pages that are in memory are [copied](super::copy) at once. Others are [fetched](super::fetcher)
//! first, and are left out if they do not arrive in time. So only what a userfaultfd, or the server
//! of a mapped file, does not provide is missing.

#![allow(unsafe_code)]

use super::fetcher;
pub(crate) use super::fetcher::Fetched;
use super::pages::{self, Pagemap};
use super::{copy, current_tid};

/// Fills `buffer` with the bytes from `address` on, and returns how many could be copied.
pub(crate) fn read(address: u64, buffer: &mut [u8]) -> usize {
    let length = match provide(address, buffer.len()) {
        Fetched::Whole => buffer.len(),
        Fetched::Unreadable | Fetched::Unserved => pages::ready(address, buffer.len()),
    };
    copy::read(address, &mut buffer[..length])
}

/// Like [`read`], but without fetching: up to the first page that is not in memory. A thread that
/// has opened the page map itself passes it as `pagemap`.
pub(crate) fn read_ready(address: u64, buffer: &mut [u8], pagemap: Option<&Pagemap>) -> usize {
    let length = match pagemap.map(|pagemap| pagemap.ready(address, buffer.len())) {
        Some(Some(length)) => length,
        _ => pages::ready(address, buffer.len()),
    };
    copy::read(address, &mut buffer[..length])
}

/// Makes these bytes readable without a wait, if their pages arrive in time.
pub(crate) fn provide(address: u64, length: usize) -> Fetched {
    provide_from(address, pages::ready(address, length), length)
}

/// Like [`provide`], but also fetches pages that are swapped out, for a thread that will read them
/// in a signal handler.
pub(crate) fn provide_in_memory(address: u64, length: usize) -> Fetched {
    provide_from(address, pages::resident(address, length), length)
}

/// Fetches what follows the first `ready` bytes.
fn provide_from(address: u64, ready: usize, length: usize) -> Fetched {
    if ready >= length {
        return Fetched::Whole;
    }
    let missing = address.saturating_add(ready as u64);
    // Where nothing is mapped, no thread is needed to find that out.
    if pages::is_mapped(missing) { fetcher::fetch(missing, length - ready) } else { Fetched::Unreadable }
}

/// The most pieces that the kernel copies in one call (`UIO_MAXIOV`).
const MAX_PIECES: usize = 1024;

/// Copies from many places with few system calls: from each address as many bytes as its length,
/// one piece after the other into `buffer`, but each only up to its first page that is not in
/// memory. Returns how many bytes of each piece could be copied. A piece that cannot be read keeps
/// its place in the buffer.
///
/// # Panics
/// If the buffer is shorter than all pieces together.
pub(crate) fn read_many(pieces: &[(u64, usize)], buffer: &mut [u8]) -> Vec<usize> {
    let tid = current_tid().cast_signed();
    let mut copied = Vec::with_capacity(pieces.len());
    let mut unused = buffer;
    let (mut local, mut remote) = (Vec::new(), Vec::new());
    for &(address, length) in pieces {
        let (place, behind) = unused.split_at_mut(length);
        unused = behind;
        let length = pages::ready(address, length);
        local.push(libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: length });
        remote.push(libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length });
    }
    while copied.len() < pieces.len() {
        let batch = copied.len()..pieces.len().min(copied.len() + MAX_PIECES);
        let (local, remote) = (&local[batch.clone()], &remote[batch]);
        let count = local.len() as libc::c_ulong;
        // SAFETY: each part of `local` is part of the exclusively borrowed `buffer`, and none
        // overlaps another. The kernel checks every page of `remote` itself, and only reads from
        // it.
        let result = unsafe { libc::process_vm_readv(tid, local.as_ptr(), count, remote.as_ptr(), count, 0) };
        let refused = result < 0 && std::io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT);
        if refused {
            copied.resize(pieces.len(), 0);
            break;
        }
        // The kernel stops at the first byte that it cannot read. The next call goes on behind the
        // piece with that byte.
        let mut left = usize::try_from(result).unwrap_or(0);
        for piece in remote {
            let part = left.min(piece.iov_len);
            copied.push(part);
            left -= part;
            if part < piece.iov_len {
                break;
            }
        }
    }
    copied
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
    #[cfg_attr(miri, ignore = "the copy is a system call")]
    fn a_piece_that_cannot_be_read_costs_no_other_piece() {
        let source = *b"guru meditation";
        let at = source.as_ptr() as u64;
        let pieces = [(at, 4), (16, 3), (at + 5, 10), (u64::MAX - 4096, 2), (16, 1), (at + 1, 2), (16, 4)];
        let mut buffer = *b"..........................";
        assert_eq!(read_many(&pieces, &mut buffer), [4, 0, 10, 0, 0, 2, 0]);
        assert_eq!(buffer, *b"guru...meditation...ur....");
        assert!(read_many(&[], &mut []).is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "the copy is a system call")]
    fn more_pieces_than_the_kernel_takes_at_once_are_copied() {
        let byte = 7_u8;
        let mut pieces = vec![(&raw const byte as u64, 1); 3 * MAX_PIECES + 1];
        pieces[MAX_PIECES - 1] = (16, 1);
        let mut buffer = vec![0; pieces.len()];
        let copied = read_many(&pieces, &mut buffer);
        assert_eq!(copied.iter().sum::<usize>(), pieces.len() - 1);
        let expected = |index| if index == MAX_PIECES - 1 { 0 } else { 7 };
        assert!(buffer.iter().enumerate().all(|(index, byte)| *byte == expected(index)));
    }

    #[test]
    fn reading_unmapped_memory_does_not_crash() {
        assert_eq!(read(16, &mut [0; 8]), 0);
        assert_eq!(read(u64::MAX - 4096, &mut [0; 8]), 0);
        assert_eq!(read_exact(16, 8), None);
    }
}
