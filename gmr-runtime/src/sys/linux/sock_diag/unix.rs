//! The sockets that Unix sockets are connected to.

use std::io;
use std::mem::offset_of;
use std::os::fd::OwnedFd;

use super::netlink::{self, MessageHeader, SOCK_DIAG_BY_FAMILY, answered, receive_some, send, word};

/// The module that answers.
const MODULES: [&str; 1] = ["unix_diag"];

/// The inode of the socket that a connected Unix socket is connected to, by the inode of this one. 0
/// if that socket has not been accepted yet, or was closed. `None` if there is none, or if it is not known.
pub(crate) fn unix_peer(inode: u64) -> Option<u64> {
    if !netlink::may_ask(&MODULES) {
        return None;
    }
    let inode = u32::try_from(inode).ok()?;
    answered(send(&unix_request(inode)).and_then(|socket| receive_unix_peer(&socket)))?
}

/// A request about the Unix socket with this inode: `struct nlmsghdr` of `linux/netlink.h`, and
/// `struct unix_diag_req` of `linux/unix_diag.h`.
fn unix_request(inode: u32) -> Vec<u8> {
    const LENGTH: u32 = 40;
    const SHOW_PEER: u32 = 4;
    let flags = u16::try_from(libc::NLM_F_REQUEST).unwrap_or(0);
    let family = u8::try_from(libc::AF_UNIX).unwrap_or(0);
    // For any state, and for a socket without a cookie that is known already.
    let any = u32::MAX.to_ne_bytes();
    let header = [&LENGTH.to_ne_bytes()[..], &SOCK_DIAG_BY_FAMILY.to_ne_bytes(), &flags.to_ne_bytes()];
    let header = [&header.concat()[..], &1_u32.to_ne_bytes(), &[0; 4]].concat();
    let about = [&any[..], &inode.to_ne_bytes(), &SHOW_PEER.to_ne_bytes(), &any, &any].concat();
    [&header[..], &[family, 0, 0, 0], &about].concat()
}

/// Reads the answer about a Unix socket.
fn receive_unix_peer(socket: &OwnedFd) -> io::Result<Option<u64>> {
    let mut buffer = [0; 1024];
    let length = receive_some(socket, &mut buffer)?;
    parse_unix_peer(&buffer[..length])
}

/// The inode in the attribute that has it.
fn parse_unix_peer(message: &[u8]) -> io::Result<Option<u64>> {
    const HEADER: usize = size_of::<MessageHeader>();
    /// `struct unix_diag_msg`.
    const ANSWER: usize = 16;
    /// `UNIX_DIAG_PEER`.
    const PEER: u16 = 2;
    let incomplete = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let half = |offset: usize| Some(u16::from_ne_bytes(*message.get(offset..)?.first_chunk()?));
    let kind = half(offset_of!(MessageHeader, kind)).ok_or_else(incomplete)?;
    if i32::from(kind) == libc::NLMSG_ERROR {
        // The socket has been closed meanwhile.
        return match word(message, HEADER).map_or(0, u32::cast_signed).saturating_neg() {
            libc::ENOENT => Ok(None),
            error => Err(io::Error::from_raw_os_error(error)),
        };
    }
    let mut at = HEADER + ANSWER;
    while let (Some(length), Some(kind)) = (half(at), half(at + 2)) {
        if kind == PEER {
            return Ok(word(message, at + 4).map(u64::from));
        }
        at += usize::from(length).max(4).next_multiple_of(4);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::super::netlink::tests::message;
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn the_peer_of_a_unix_socket_is_known_by_its_inode() {
        let (one, other) = UnixStream::pair().unwrap();
        let inode = |socket: &UnixStream| rustix::fs::fstat(socket).unwrap().st_ino;
        let Some(peer) = unix_peer(inode(&one)) else {
            return eprintln!("skipped: the kernel is not asked here");
        };
        assert_eq!(peer, inode(&other));
        drop(other);
        assert_eq!(unix_peer(inode(&one)), Some(0), "it was closed");
    }

    #[test]
    fn an_answer_about_a_unix_socket_has_the_peer_among_other_attributes() {
        let answer = |attributes: &[u8]| message(20, &[&[0; 16][..], attributes].concat());
        let other = [[9, 0], [0, 0], [b'/', b'a'], [b'b', b'c'], [0, 0], [0, 0]].concat();
        let peer = [&[8, 0, 2, 0][..], &4711_u32.to_ne_bytes()].concat();
        let parse = |attributes: &[u8]| parse_unix_peer(&answer(attributes)).unwrap();
        assert_eq!(parse(&[other.clone(), peer].concat()), Some(4711));
        assert_eq!((parse(&other), parse(&[])), (None, None));
        let closed = message(libc::NLMSG_ERROR, &(-libc::ENOENT).to_ne_bytes());
        assert_eq!(parse_unix_peer(&closed).unwrap(), None);
        let refused = message(libc::NLMSG_ERROR, &(-libc::EPERM).to_ne_bytes());
        assert_eq!(parse_unix_peer(&refused).unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(parse_unix_peer(&[]).is_err());
    }
}
