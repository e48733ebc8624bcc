//! Memory of our own for the large things that a report reads: tables of unwinding, files of the symbolizer, and what of them has to be inflated.
//!
//! It comes from the kernel and goes back to it. In the program's allocator, pieces of this size would stay behind, and raise the sizes from which on it gives anything back.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

/// A mapping, unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct Mapped {
    base: *mut u8,
    length: usize,
}

// SAFETY: it owns its mapping, which belongs to no thread.
unsafe impl Send for Mapped {}

impl Mapped {
    /// The contents of a file, as they are now.
    ///
    /// Whoever replaces a file (as package managers do) leaves this mapping as it was. Whoever cuts it short or writes to it in place, while it is mapped, may crash the program or have it
    /// show nonsense; so may a disk that answers with errors. `docs/no-harm.md` tells the reader.
    pub(crate) fn file(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Self::new(length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd())
    }

    /// Zeroes.
    fn anonymous(length: usize) -> io::Result<Self> {
        Self::new(length, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    fn new(length: usize, protection: libc::c_int, flags: libc::c_int, fd: libc::c_int) -> io::Result<Self> {
        // SAFETY: a new private mapping at an address of the kernel's choice concerns no other memory. A length of zero is refused.
        let base = unsafe { libc::mmap(null_mut(), length, protection, flags, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base: base.cast(), length })
    }

    /// Fills an anonymous mapping.
    fn write(&mut self, fill: impl FnOnce(&mut [u8]) -> bool) -> bool {
        // SAFETY: as above, and the borrow is exclusive. Only `filled` calls this, on an anonymous mapping.
        fill(unsafe { std::slice::from_raw_parts_mut(self.base, self.length) })
    }
}

/// What it holds.
impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, initialised (by the file or with zeroes), and lives as long as the borrow. In this process nobody writes to it while it is borrowed: `write` borrows it exclusively. A file that
        // another process changes in place shows through; its readers check every offset and length they take from it.
        unsafe { std::slice::from_raw_parts(self.base, self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, and no borrow of it outlives it.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}

/// An anonymous mapping filled by `fill`; none if there is no memory, or `fill` fails.
pub(crate) fn filled(length: usize, fill: impl FnOnce(&mut [u8]) -> bool) -> Option<Mapped> {
    let mut mapped = Mapped::anonymous(length).ok()?;
    mapped.write(fill).then_some(mapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel maps it")]
    fn a_file_is_mapped_as_it_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let mapped = Mapped::file(&File::open(path).unwrap()).unwrap();
        assert_eq!(*mapped, *std::fs::read(path).unwrap());
        assert!(Mapped::file(&File::open("/proc/self/stat").unwrap()).is_err(), "it has no length");
    }

    #[test]
    fn what_fails_to_fill_is_nothing() {
        let hello = |good| {
            filled(5, |bytes| {
                bytes.copy_from_slice(b"hello");
                good
            })
        };
        assert_eq!(*hello(true).unwrap(), *b"hello");
        assert!(hello(false).is_none());
    }
}
