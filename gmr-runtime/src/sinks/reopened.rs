//! A second open file description of a terminal or a pipe, to which writes never block.
//!
//! Whether a write blocks is a property of the description, which other processes share: a shell
//! would find its own terminal changed. Opening the file again makes a description that no other
//! process shares. This needs a descriptor, so it is done only on a thread with a descriptor table
//! of its own.

use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, OFlags, Stat, fstat, major, minor};

use crate::sys::proc;

/// The file of this descriptor, opened again for writing without blocking. `None` if it is another
/// kind of file, or may not be opened: because it belongs to another user, for example, or is a
/// terminal in exclusive mode.
pub(super) fn reopen(fd: BorrowedFd<'_>) -> Option<OwnedFd> {
    let original = fstat(fd).ok()?;
    let is_fifo = FileType::from_raw_mode(original.st_mode).is_fifo();
    if !is_fifo && (!fd.is_terminal() || makes_terminals(&original)) {
        return None;
    }
    let path = format!("thread-self/fd/{}", fd.as_raw_fd());
    let reopened = proc::open_with(&path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY).ok()?;
    let stat = fstat(reopened.as_fd()).ok()?;
    ((stat.st_dev, stat.st_ino) == (original.st_dev, original.st_ino)).then_some(reopened)
}

/// Whether this is `ptmx`: each time it is opened, it makes another terminal.
fn makes_terminals(stat: &Stat) -> bool {
    (major(stat.st_rdev), minor(stat.st_rdev)) == (5, 2)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::os::unix::net::UnixStream;

    use rustix::io::Errno;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn a_full_pipe_does_not_block_and_stays_as_it_was() {
        let (reader, writer) = io::pipe().unwrap();
        let reopened = reopen(writer.as_fd()).unwrap();
        let full = (0..1000).find_map(|_| rustix::io::write(&reopened, &[b'x'; 4096]).err());
        assert_eq!(full, Some(Errno::AGAIN));
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK), "{flags:?}");
        drop(reader);
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn other_files_are_not_opened_anew() {
        let (socket, _other) = UnixStream::pair().unwrap();
        assert!(reopen(socket.as_fd()).is_none());
        assert!(reopen(File::open("/dev/null").unwrap().as_fd()).is_none());
        if let Ok(multiplexer) = File::options().write(true).open("/dev/ptmx") {
            assert!(multiplexer.is_terminal());
            assert!(reopen(multiplexer.as_fd()).is_none());
        }
    }
}
