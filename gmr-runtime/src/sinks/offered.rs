//! A memory file that offers a report to the command `gmr report`, which finds it among the
//! descriptors of the thread that has it. Who may open it there is decided by the kernel: the
//! process's user and root, as for its memory.
//!
//! The thread has a table of its own, so the descriptor is never one of the program's. Nothing is
//! received from the command, and nothing waits for it: it reads or it does not.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, SealFlags, fchmod, fcntl_add_seals};
use rustix::io::{Errno, write};

use crate::sys::{self, memory_file};

/// The file.
#[derive(Debug)]
pub(crate) struct Offered {
    file: OwnedFd,
    /// Whether all bytes have been written.
    is_whole: bool,
}

impl Offered {
    /// Makes an empty file with this name. The calling thread must be one of gmr's own that owns no
    /// descriptor, and ends soon.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) fn create(name: &str) -> Result<Self, String> {
        let failed = |error: Errno| format!("could not make a memory file: {}", io::Error::from(error));
        if !sys::leave_or_close_files() {
            return Err("the kernel gives a thread no descriptor table of its own".to_owned());
        }
        let file = memory_file::create(name).map_err(failed)?;
        // Who maps it for writing would keep it from being sealed.
        fchmod(&file, Mode::RUSR | Mode::RGRP | Mode::ROTH).map_err(failed)?;
        Ok(Self { file, is_whole: true })
    }

    /// Adds these bytes, unless others are missing before them.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while self.is_whole && !bytes.is_empty() {
            match write(&self.file, bytes) {
                Ok(count) if count > 0 => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                // A limit of the length of files, or of the cgroup's memory.
                _ => self.is_whole = false,
            }
        }
    }

    /// The report is complete. If all of it has been written, the file is sealed, by which the
    /// command knows that.
    pub(crate) fn end(&self) {
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        if self.is_whole {
            // Without the seals, the command says that the end may be missing.
            let _ = fcntl_add_seals(&self.file, seals);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;
    use std::thread;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn a_file_that_is_whole_is_sealed_and_can_be_opened_for_reading_only() {
        // It leaves the descriptor table of the others.
        let test = || {
            let mut offered = Offered::create("a file of this test").unwrap();
            let path = format!("/proc/thread-self/fd/{}", offered.file.as_raw_fd());
            let link = fs::read_link(&path).unwrap();
            assert_eq!(link.to_str(), Some("/memfd:a file of this test (deleted)"));
            offered.write(b"one ");
            let mut file = File::open(&path).unwrap();
            offered.write(b"two");
            let seals = || rustix::fs::fcntl_get_seals(&offered.file).unwrap();
            assert!(!seals().intersects(SealFlags::WRITE | SealFlags::SEAL));
            offered.end();
            assert!(seals().contains(SealFlags::WRITE | SealFlags::SEAL | SealFlags::GROW));
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "one two");
            offered.write(b"three");
            assert!(!offered.is_whole, "it was sealed");
        };
        thread::spawn(test).join().unwrap();
    }
}
