//! Asks the kernel for single regions of the address map (`PROCMAP_QUERY`, since Linux 6.11): a
//! process with a thousand threads has thousands of regions, and a hundred are of interest.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::super::proc;

/// Only regions that can be read.
pub(crate) const READABLE: u64 = 0x01;
/// Only regions that can be written to.
pub(crate) const WRITABLE: u64 = 0x02;
/// Only regions with code.
pub(crate) const EXECUTABLE: u64 = 0x04;
/// The next region if none covers the address.
const OR_NEXT: u64 = 0x10;
/// Only regions of files.
pub(crate) const FILE_BACKED: u64 = 0x20;

/// `struct procmap_query` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Answer {
    size: u64,
    flags: u64,
    address: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Of the flags above, those that it has.
    pub(crate) has: u64,
    page_size: u64,
    pub(crate) offset: u64,
    pub(crate) inode: u64,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// `_IOWR('f', 17, struct procmap_query)`
const PROCMAP_QUERY: u64 = 3 << 30 | (size_of::<Answer>() as u64) << 16 | (b'f' as u64) << 8 | 0x11;

/// An address map that can be queried.
pub(crate) struct Map {
    file: File,
    name: Box<[u8; 4096]>,
}

impl Map {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { file: proc::open("thread-self/maps")?, name: Box::new([0; 4096]) })
    }

    /// The first region at or above `address` that has all of these flags, and its name as in the
    /// map. `None` if there is no more.
    ///
    /// # Errors
    /// If the kernel does not support the query.
    pub(crate) fn next(&mut self, address: u64, flags: u64) -> io::Result<Option<(Answer, &[u8])>> {
        self.ask(address, flags | OR_NEXT)
    }

    /// The region that covers `address`, and its name as in the map.
    ///
    /// # Errors
    /// If the kernel does not support the query.
    pub(crate) fn at(&mut self, address: u64) -> io::Result<Option<(Answer, &[u8])>> {
        self.ask(address, 0)
    }

    fn ask(&mut self, address: u64, flags: u64) -> io::Result<Option<(Answer, &[u8])>> {
        self.name[0] = 0;
        let mut answer = Answer {
            size: size_of::<Answer>() as u64,
            flags,
            address,
            name_size: 4096,
            name: self.name.as_mut_ptr() as u64,
            ..Answer::default()
        };
        // SAFETY: `answer` has the layout and size that the kernel reads and writes, and the buffer
        // for the name is valid for writes of the size that it gives. Both are borrowed
        // exclusively.
        let result =
            unsafe { libc::ioctl(self.file.as_raw_fd(), PROCMAP_QUERY as libc::Ioctl, &raw mut answer) };
        if result == 0 {
            let name = CStr::from_bytes_until_nul(&self.name[..]).map_or(&[][..], CStr::to_bytes);
            return Ok(Some((answer, name)));
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            error => Err(error),
        }
    }
}
