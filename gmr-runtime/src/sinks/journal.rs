//! systemd's journal, by its native protocol: an entry is one datagram to a socket, or a sealed
//! memory file that is passed to it if it is longer than a datagram may be.
//!
//! The protocol: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>. The libraries for it keep their
//! socket for as long as the process lives, by a number that a program which closes all
//! descriptors, or a forked child, has given to another file. So this one connects for each entry,
//! in the descriptor table of the thread that sends it.
//!
//! Sending can take as long as the service does. A thread calls it that nothing has to wait for.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::fs::{SealFlags, fcntl_add_seals};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::sys::memory_file;

const SOCKET: &str = "/run/systemd/journal/socket";

/// After what time an entry is given up that the service does not take. Whoever waits for it has
/// given it up before.
const WITHIN: Duration = Duration::from_secs(60);

/// A connection to the journal.
#[derive(Debug)]
pub(crate) struct Journal(UnixDatagram);

impl Journal {
    /// # Errors
    /// There is no journal, or this process may not write to it.
    pub(crate) fn connect() -> Result<Self, String> {
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(WITHIN))?;
            socket.connect(SOCKET)?;
            Ok(Self(socket))
        };
        connect().map_err(|error: io::Error| format!("could not connect to {SOCKET}: {error}"))
    }

    /// Sends an entry of these fields. Names are upper-case letters, digits and underscores.
    ///
    /// # Errors
    /// Why it has not been sent.
    pub(crate) fn send(&self, fields: &[(&str, &[u8])]) -> Result<(), String> {
        let entry = encoded(fields);
        let sent = match self.0.send(&entry) {
            Err(error) if is_too_long(&error) => self.pass(&entry),
            sent => sent.map(drop),
        };
        sent.map_err(|error| format!("could not send an entry to {SOCKET}: {error}"))
    }

    /// Passes a memory file with the entry. Once it is sealed, the journal need not copy it to be
    /// sure that nobody changes it.
    fn pass(&self, entry: &[u8]) -> io::Result<()> {
        let mut file = File::from(memory_file::create("gmr-report")?);
        file.write_all(entry)?;
        fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
        let files: [BorrowedFd<'_>; 1] = [file.as_fd()];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg(&self.0, &[IoSlice::new(&[])], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// The kernel has no room for a datagram of this length, or the socket's buffer is smaller.
fn is_too_long(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MSGSIZE | Errno::NOBUFS))
}

/// All values in the form for those with line breaks, which can have any bytes: the name, a line
/// break, the length as 64 bits, the value, and a line break.
fn encoded(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut entry = Vec::new();
    for (name, value) in fields {
        entry.extend_from_slice(name.as_bytes());
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
        entry.extend_from_slice(value);
        entry.push(b'\n');
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_can_have_any_bytes() {
        let entry = encoded(&[("A", b"x\ny"), ("B_2", b"")]);
        assert_eq!(entry, b"A\n\x03\0\0\0\0\0\0\0x\ny\nB_2\n\0\0\0\0\0\0\0\0\n");
    }
}
