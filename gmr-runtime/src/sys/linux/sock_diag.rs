//! The TCP sockets of this network namespace, as the kernel lists them on request (`sock_diag(7)`):
//! in a twentieth of the time that it takes to write `/proc/net/tcp`.
//!
//! The request is made only where it changes nothing. A kernel that has this interface in a module
//! loads the module when it is first needed; a report must not do that. Where system calls are
//! filtered, the calls are not made either: a filter may answer them by ending the process.

#![allow(unsafe_code)]

use std::io;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::proc;
use super::sandbox;

/// How much of a list is read: some ten thousand connections, as of the tables in `/proc`.
const MAX_LIST: usize = 2 << 20;

/// The family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A TCP socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TcpSocket {
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

/// Whether the kernel has refused a request. It would refuse the next one as well, and a security
/// module may log each.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Calls `each` with the sockets that belong to a descriptor of some process, until it says that
/// this is enough. Returns whether the list is longer than what is read of it. `None` if the kernel
/// is not asked, or refuses: then the tables in `/proc` have the sockets.
///
/// It waits for nothing: the kernel has each part of the list ready when it is read.
pub(crate) fn tcp_sockets(family: Family, each: impl FnMut(TcpSocket) -> ControlFlow<()>) -> Option<bool> {
    if sandbox::may_end_the_process() || IS_REFUSED.load(Ordering::Relaxed) || !is_loaded() {
        return None;
    }
    let read = request(family).and_then(|socket| receive(&socket, each));
    let is_shortage = |error: &io::Error| {
        let shortages = [libc::ENOMEM, libc::ENOBUFS, libc::EMFILE, libc::ENFILE];
        error.raw_os_error().is_some_and(|number| shortages.contains(&number))
    };
    if read.as_ref().is_err_and(|error| !is_shortage(error)) {
        IS_REFUSED.store(true, Ordering::Relaxed);
    }
    read.ok()
}

/// Whether the kernel can answer without loading a module: they are loaded, or it has no modules.
fn is_loaded() -> bool {
    match proc::read_text("modules") {
        Ok(modules) => are_listed(&modules),
        // Where only processes are mounted, both are missing.
        Err(error) => error.kind() == io::ErrorKind::NotFound && proc::open("version").is_ok(),
    }
}

/// Whether both modules are among those of `/proc/modules`, with lines of
/// `name size users used-by state address`.
fn are_listed(modules: &str) -> bool {
    ["inet_diag", "tcp_diag"].iter().all(|wanted| {
        modules.lines().any(|line| {
            let mut fields = line.split_ascii_whitespace();
            fields.next() == Some(wanted) && fields.nth(3) == Some("Live")
        })
    })
}

/// `struct nlmsghdr` of `linux/netlink.h`.
#[repr(C)]
struct MessageHeader {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
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

/// Sends the request. The kernel has handled it when this returns.
fn request(family: Family) -> io::Result<OwnedFd> {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    /// `TCP_TIME_WAIT`: it belongs to no descriptor.
    const TIME_WAIT: u32 = 6;
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
        states: !(1 << TIME_WAIT),
        id: SocketId {
            source_port: [0; 2],
            destination_port: [0; 2],
            source: [0; 16],
            destination: [0; 16],
            interface: 0,
            cookie: [0; 2],
        },
    };
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: it takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_SOCK_DIAG) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for this function.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: the kernel reads as many bytes as the request has, and those have no padding. Without
    // an address, they go to the kernel.
    let sent = unsafe { libc::send(socket.as_raw_fd(), (&raw const request).cast(), length, 0) };
    match usize::try_from(sent) {
        Ok(sent) if sent == length => Ok(socket),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Reads the answers.
fn receive(socket: &OwnedFd, mut each: impl FnMut(TcpSocket) -> ControlFlow<()>) -> io::Result<bool> {
    /// The kernel fills no more at a time.
    const BUFFER: usize = 32 << 10;
    let mut buffer = vec![0; BUFFER];
    let mut read = 0;
    loop {
        // SAFETY: the buffer is valid for writes of its length.
        let length =
            unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), BUFFER, libc::MSG_TRUNC) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        };
        let Some(messages) = buffer.get(..length) else { return Err(io::ErrorKind::InvalidData.into()) };
        if parse(messages, &mut each)?.is_break() {
            return Ok(false);
        }
        read += length;
        if read > MAX_LIST {
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
                // Without an inode, it belongs to no descriptor.
                if socket.inode != 0 && each(socket).is_break() {
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

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

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
                let read = tcp_sockets(family, |socket| {
                    found.extend((socket.local == local || socket.peer == local).then_some(socket));
                    ControlFlow::Continue(())
                });
                read.map(|is_cut| (found, is_cut))
            };
            let Some((found, is_cut)) = list(family) else {
                return eprintln!("skipped: the kernel is not asked here");
            };
            assert!(!is_cut);
            // The third one has not been accepted.
            assert_eq!(found.len(), 2, "{found:?}");
            let listening = found.iter().find(|socket| socket.state == 10).unwrap();
            assert_eq!((listening.local, listening.receive_queue), (local, 1));
            let connected = found.iter().find(|socket| socket.peer == local).unwrap();
            assert_eq!((connected.state, connected.local), (1, client.local_addr().unwrap()));
            assert_eq!(list(other).unwrap().0, []);
        }
    }

    #[test]
    fn both_modules_must_be_loaded() {
        let inet = "inet_diag 28672 1 tcp_diag, Live 0x0000000000000000\n";
        let tcp = "tcp_diag 12288 0 - Live 0x0000000000000000\n";
        assert!(are_listed(&format!("overlay 225280 0 - Live 0x0\n{tcp}{inet}")));
        assert!(!are_listed(tcp) && !are_listed(inet) && !are_listed(""));
        assert!(!are_listed(&format!("{inet}{}", tcp.replace("Live", "Unloading"))));
        assert!(!are_listed(&format!("{inet}{}", tcp.replace("tcp_diag", "xtcp_diag"))));
    }

    /// A message with this content.
    fn message(kind: i32, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(size_of::<MessageHeader>() + content.len()).unwrap();
        let kind = u16::try_from(kind).unwrap().to_ne_bytes();
        let mut message = [&length.to_ne_bytes()[..], &kind, &[0; 10], content].concat();
        message.resize(message.len().next_multiple_of(4), 0);
        message
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
        let unowned = message(SOCKET, &content(libc::AF_INET, 0));
        let messages =
            [message(SOCKET, &with_attribute), unowned, message(libc::NLMSG_DONE, &[0; 4])].concat();
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
            prop_assert!(found.iter().all(|socket| socket.inode != 0));
        }
    }
}
