//! The TCP sockets of this network namespace, in the order of the kernel's tables.

#![allow(unsafe_code)]

use std::io;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use super::netlink::{self, MessageHeader, SOCK_DIAG_BY_FAMILY, answered, receive_some, send, word};

/// The modules that answer.
const MODULES: [&str; 2] = ["inet_diag", "tcp_diag"];

/// Which sockets a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that are not closed.
    Open,
    /// Those that are closed, and only wait for late packets (`TIME_WAIT`), as well.
    All,
}

impl Which {
    /// How much of a list is read: some ten thousand connections, as of the tables in `/proc`, or
    /// those of all ports at one address.
    const fn max(self) -> usize {
        match self {
            Self::Open => 2 << 20,
            Self::All => 8 << 20,
        }
    }
}

/// The family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A TCP socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TcpSocket {
    /// 0 if it belongs to no descriptor: it has not been accepted yet, or was closed.
    pub(crate) inode: u64,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// By its number in the kernel's `tcp_states.h`.
    pub(crate) state: u8,
    /// Bytes that have arrived and were not read; of a listening socket, connections that were not
    /// accepted.
    pub(crate) receive_queue: u64,
    /// Bytes that were sent and not acknowledged; of a listening socket, how many connections may
    /// wait.
    pub(crate) send_queue: u64,
}

/// Calls `each` with the sockets, until it says that this is enough. Returns whether the list is
/// longer than what is read of it. `None` if the kernel is not asked, or refuses: then the tables in
/// `/proc` have the sockets.
///
/// It waits for nothing: the kernel has each part of the list ready when it is read.
pub(crate) fn tcp_sockets(
    family: Family,
    which: Which,
    each: impl FnMut(TcpSocket) -> ControlFlow<()>,
) -> Option<bool> {
    if !netlink::may_ask(&MODULES) {
        return None;
    }
    answered(request(family, which).and_then(|socket| receive(&socket, which, each)))
}

/// `struct inet_diag_sockid` of `linux/inet_diag.h`. Ports and addresses are in network byte order.
#[repr(C)]
struct SocketId {
    source_port: [u8; 2],
    destination_port: [u8; 2],
    source: [u8; 16],
    destination: [u8; 16],
    interface: u32,
    cookie: [u32; 2],
}

/// `struct inet_diag_req_v2`.
#[repr(C)]
struct Request {
    header: MessageHeader,
    family: u8,
    protocol: u8,
    extensions: u8,
    unused: u8,
    /// Of which states: a bit for each.
    states: u32,
    id: SocketId,
}

/// `struct inet_diag_msg`.
#[repr(C)]
struct Answer {
    family: u8,
    state: u8,
    timer: u8,
    retransmissions: u8,
    id: SocketId,
    expires: u32,
    receive_queue: u32,
    send_queue: u32,
    uid: u32,
    inode: u32,
}

fn request(family: Family, which: Which) -> io::Result<OwnedFd> {
    /// `TCP_TIME_WAIT`: it belongs to no descriptor.
    const TIME_WAIT: u32 = 6;
    let states = match which {
        Which::Open => !(1 << TIME_WAIT),
        Which::All => !0,
    };
    let family = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    let length = size_of::<Request>();
    let request = Request {
        header: MessageHeader {
            length: u32::try_from(length).unwrap_or(0),
            kind: SOCK_DIAG_BY_FAMILY,
            flags: u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or(0),
            sequence: 1,
            port: 0,
        },
        family: u8::try_from(family).unwrap_or(0),
        protocol: u8::try_from(libc::IPPROTO_TCP).unwrap_or(0),
        extensions: 0,
        unused: 0,
        states,
        id: SocketId {
            source_port: [0; 2],
            destination_port: [0; 2],
            source: [0; 16],
            destination: [0; 16],
            interface: 0,
            cookie: [0; 2],
        },
    };
    // SAFETY: the request is valid for reads of its length, and has no padding.
    send(unsafe { std::slice::from_raw_parts((&raw const request).cast(), length) })
}

/// Reads the answers.
fn receive(
    socket: &OwnedFd,
    which: Which,
    mut each: impl FnMut(TcpSocket) -> ControlFlow<()>,
) -> io::Result<bool> {
    /// The kernel fills no more at a time.
    const BUFFER: usize = 32 << 10;
    let mut buffer = vec![0; BUFFER];
    let mut read = 0;
    loop {
        let length = receive_some(socket, &mut buffer)?;
        let messages = &buffer[..length];
        if parse(messages, &mut each)?.is_break() {
            return Ok(false);
        }
        read += length;
        if read > which.max() {
            return Ok(true);
        }
    }
}

/// Calls `each` with the sockets of these messages. `Break` if no more messages are of interest.
fn parse(
    mut messages: &[u8],
    each: &mut impl FnMut(TcpSocket) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    const HEADER: usize = size_of::<MessageHeader>();
    let incomplete = || io::Error::from(io::ErrorKind::UnexpectedEof);
    if messages.is_empty() {
        return Err(incomplete());
    }
    while !messages.is_empty() {
        let length = word(messages, offset_of!(MessageHeader, length)).ok_or_else(incomplete)?;
        let length = usize::try_from(length).map_err(|_| incomplete())?;
        let message = messages.get(..length).filter(|_| length >= HEADER).ok_or_else(incomplete)?;
        let kind = message.get(offset_of!(MessageHeader, kind)..).and_then(|kind| kind.first_chunk());
        let content = &message[HEADER..];
        match kind.map(|kind| i32::from(u16::from_ne_bytes(*kind))) {
            // Both begin with an error, or 0.
            Some(kind @ (libc::NLMSG_DONE | libc::NLMSG_ERROR)) => {
                return match word(content, 0).map_or(0, u32::cast_signed) {
                    error @ ..0 => Err(io::Error::from_raw_os_error(error.saturating_neg())),
                    _ if kind == libc::NLMSG_DONE => Ok(ControlFlow::Break(())),
                    _ => Err(incomplete()),
                };
            }
            Some(libc::NLMSG_NOOP) => {}
            _ => {
                let socket = socket(content).ok_or_else(incomplete)?;
                if each(socket).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        // The next one begins at a multiple of four.
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(ControlFlow::Continue(()))
}

fn socket(answer: &[u8]) -> Option<TcpSocket> {
    const ID: usize = offset_of!(Answer, id);
    let word = |offset| word(answer, offset);
    let family = i32::from(*answer.get(offset_of!(Answer, family))?);
    let end = |address: usize, port: usize| {
        let bytes: &[u8; 16] = answer.get(ID + address..)?.first_chunk()?;
        let port = u16::from_be_bytes(*answer.get(ID + port..)?.first_chunk()?);
        let ip = match family {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
            libc::AF_INET6 => Ipv6Addr::from(*bytes).to_canonical(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    };
    Some(TcpSocket {
        local: end(offset_of!(SocketId, source), offset_of!(SocketId, source_port))?,
        peer: end(offset_of!(SocketId, destination), offset_of!(SocketId, destination_port))?,
        state: *answer.get(offset_of!(Answer, state))?,
        receive_queue: word(offset_of!(Answer, receive_queue))?.into(),
        send_queue: word(offset_of!(Answer, send_queue))?.into(),
        inode: word(offset_of!(Answer, inode))?.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::super::netlink::tests::message;
    use super::*;
    use crate::sys::mutation::damaged;

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked")]
    fn the_sockets_of_this_process_are_listed() {
        for (address, family, other) in
            [("127.0.0.1:0", Family::V4, Family::V6), ("[::1]:0", Family::V6, Family::V4)]
        {
            let Ok(listener) = TcpListener::bind(address) else {
                eprintln!("skipped: there is no {address} here");
                continue;
            };
            let local = listener.local_addr().unwrap();
            let client = TcpStream::connect(local).unwrap();
            let list = |family| {
                let mut found = Vec::new();
                let read = tcp_sockets(family, Which::Open, |socket| {
                    found.extend((socket.local == local || socket.peer == local).then_some(socket));
                    ControlFlow::Continue(())
                });
                read.map(|is_cut| (found, is_cut))
            };
            let Some((found, is_cut)) = list(family) else {
                return eprintln!("skipped: the kernel is not asked here");
            };
            assert!(!is_cut);
            // The third one has not been accepted, and has no descriptor.
            assert_eq!(found.len(), 3, "{found:?}");
            assert_eq!(found.iter().filter(|socket| socket.inode == 0).count(), 1, "{found:?}");
            let listening = found.iter().find(|socket| socket.state == 10).unwrap();
            assert_eq!((listening.local, listening.receive_queue), (local, 1));
            let connected = found.iter().find(|socket| socket.peer == local).unwrap();
            assert_eq!((connected.state, connected.local), (1, client.local_addr().unwrap()));
            assert_eq!(list(other).unwrap().0, []);
        }
    }

    /// The content of a message about the socket with this inode.
    fn content(family: i32, inode: u32) -> Vec<u8> {
        let mut content = vec![0; size_of::<Answer>()];
        content[0] = u8::try_from(family).unwrap();
        content[1] = 8;
        content[4..8].copy_from_slice(&[0x15, 0x38, 0x9c, 0xad]);
        content[8..12].copy_from_slice(&[127, 0, 0, 1]);
        content[24..28].copy_from_slice(&[10, 0, 0, 7]);
        content[offset_of!(Answer, receive_queue)..][..4].copy_from_slice(&5_u32.to_ne_bytes());
        content[offset_of!(Answer, inode)..][..4].copy_from_slice(&inode.to_ne_bytes());
        content
    }

    fn parsed(messages: &[u8]) -> (Vec<TcpSocket>, io::Result<ControlFlow<()>>) {
        let mut found = Vec::new();
        let end = parse(messages, &mut |socket| {
            found.push(socket);
            ControlFlow::Continue(())
        });
        (found, end)
    }

    #[test]
    fn messages_are_read_to_the_last_one() {
        const SOCKET: i32 = 20;
        // Attributes follow the socket. Their length is not a multiple of four.
        let with_attribute = [&content(libc::AF_INET, 4711)[..], &[5, 0, 8, 0, 1]].concat();
        let messages = [message(SOCKET, &with_attribute), message(libc::NLMSG_DONE, &[0; 4])].concat();
        let (found, end) = parsed(&messages);
        let expected = TcpSocket {
            inode: 4711,
            local: "127.0.0.1:5432".parse().unwrap(),
            peer: "10.0.0.7:40109".parse().unwrap(),
            state: 8,
            receive_queue: 5,
            send_queue: 0,
        };
        assert_eq!(found, [expected]);
        assert!(end.unwrap().is_break());
        assert!(parsed(&messages[..messages.len() - 20]).1.unwrap().is_continue());
        let refused = message(libc::NLMSG_ERROR, &(-libc::EPERM).to_ne_bytes());
        assert_eq!(parsed(&refused).1.unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(parsed(&[]).1.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let of_another_family = message(SOCKET, &content(libc::AF_UNIX, 4711));
        assert_eq!(parsed(&of_another_family).1.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn damaged_messages_are_parsed_without_panics(
            messages in damaged([message(20, &content(libc::AF_INET6, 1)), message(3, &[0; 4])].concat().leak())
        ) {
            let (found, _) = parsed(&messages);
            prop_assert!(found.len() <= messages.len() / size_of::<Answer>());
        }
    }
}
