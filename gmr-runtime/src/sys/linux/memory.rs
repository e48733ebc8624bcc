//! Reads this process's own memory through the kernel.

#![allow(unsafe_code)]

use super::current_tid;

pub(crate) use super::copy::read;

/// The most pieces that the kernel copies in one call (`UIO_MAXIOV`).
const MAX_PIECES: usize = 1024;

/// Copies from many places with few system calls: from each address as many bytes as its length,
/// one piece after the other into `buffer`. Returns how many bytes of each piece could be copied.
/// A piece that cannot be read keeps its place in the buffer.
///
/// # Panics
/// If the buffer is shorter than all pieces together.
pub(crate) fn read_many(pieces: &[(u64, usize)], buffer: &mut [u8]) -> Vec<usize> {
    let tid = current_tid().cast_signed();
    let mut copied = Vec::with_capacity(pieces.len());
    let mut offset = 0;
    while copied.len() < pieces.len() {
        let rest = &pieces[copied.len()..];
        let batch = &rest[..rest.len().min(MAX_PIECES)];
        let place = |&(address, length): &(u64, usize)| libc::iovec {
            iov_base: address as *mut libc::c_void,
            iov_len: length,
        };
        let remote: Vec<libc::iovec> = batch.iter().map(place).collect();
        let length = batch.iter().map(|(_, length)| length).sum();
        let target = &mut buffer[offset..][..length];
        let local = libc::iovec { iov_base: target.as_mut_ptr().cast(), iov_len: length };
        // SAFETY: `local` describes the exclusively borrowed `target`. The kernel checks every page
        // of `remote` itself, and only reads from it.
        let result = unsafe {
            libc::process_vm_readv(
                tid,
                &raw const local,
                1,
                remote.as_ptr(),
                remote.len() as libc::c_ulong,
                0,
            )
        };
        let refused = result < 0 && std::io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT);
        if refused {
            copied.resize(pieces.len(), 0);
            break;
        }
        // The kernel stops at the first byte that it cannot read. The next call goes on behind the
        // piece with that byte.
        let mut left = usize::try_from(result).unwrap_or(0);
        for &(_, length) in batch {
            let part = left.min(length);
            copied.push(part);
            left -= part;
            offset += length;
            if part < length {
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
