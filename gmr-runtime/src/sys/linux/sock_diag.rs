//! The TCP sockets of this network namespace, as the kernel lists them on request (`sock_diag(7)`):
//! in a twentieth of the time that it takes to write `/proc/net/tcp`. And the sockets that Unix sockets
//! are connected to, which no file has.
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

/// Whether the kernel has refused a request. It would refuse the next one as well, and a security
/// module may log each.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

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
    if sandbox::may_end_the_process() || IS_REFUSED.load(Ordering::Relaxed) || !are_loaded(&OF_TCP) {
        return None;
    }
    answered(request(family, which).and_then(|socket| receive(&socket, which, each)))
}

/// The inode of the socket that a connected Unix socket is connected to, by the inode of this one. 0
/// if that socket has not been accepted yet, or was closed. `None` if there is none, or if it is not known.
pub(crate) fn unix_peer(inode: u64) -> Option<u64> {
    if sandbox::may_end_the_process() || IS_REFUSED.load(Ordering::Relaxed) || !are_loaded(&OF_UNIX) {
        return None;
    }
    let inode = u32::try_from(inode).ok()?;
    answered(send(&unix_request(inode)).and_then(|socket| receive_unix_peer(&socket)))?
}

/// What was read. Remembers if the kernel has refused the request.
fn answered<T>(read: io::Result<T>) -> Option<T> {
    let is_shortage = |error: &io::Error| {
        let shortages = [libc::ENOMEM, libc::ENOBUFS, libc::EMFILE, libc::ENFILE];
        error.raw_os_error().is_some_and(|number| shortages.contains(&number))
    };
    if read.as_ref().is_err_and(|error| !is_shortage(error)) {
        IS_REFUSED.store(true, Ordering::Relaxed);
    }
    read.ok()
}

/// The modules that answer.
const OF_TCP: [&str; 2] = ["inet_diag", "tcp_diag"];
const OF_UNIX: [&str; 1] = ["unix_diag"];

/// Whether the kernel can answer without loading a module: they are loaded, or it has no modules.
fn are_loaded(wanted: &[&str]) -> bool {
    match proc::read_text("modules") {
        Ok(modules) => are_listed(wanted, &modules),
        // Where only processes are mounted, both are missing.
        Err(error) => error.kind() == io::ErrorKind::NotFound && proc::open("version").is_ok(),
    }
}

/// Whether all these modules are among those of `/proc/modules`, with lines of
/// `name size users used-by state address`.
fn are_listed(wanted: &[&str], modules: &str) -> bool {
    wanted.iter().all(|wanted| {
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

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;

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

/// Sends a request. The kernel has handled it when this returns.
fn send(request: &[u8]) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: it takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_SOCK_DIAG) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for this function.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: the kernel reads as many bytes as the request has. Without an address, they go to the
    // kernel.
    let sent = unsafe { libc::send(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
    match usize::try_from(sent) {
        Ok(sent) if sent == request.len() => Ok(socket),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Reads some answers into the buffer, and returns their length. The kernel has them ready.
fn receive_some(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the buffer is valid for writes of its length.
        let length = unsafe {
            libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_TRUNC)
        };
        match usize::try_from(length) {
            Ok(length) if length <= buffer.len() => return Ok(length),
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
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

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

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

    #[test]
    fn both_modules_must_be_loaded() {
        let inet = "inet_diag 28672 1 tcp_diag, Live 0x0000000000000000\n";
        let tcp = "tcp_diag 12288 0 - Live 0x0000000000000000\n";
        assert!(are_listed(&OF_TCP, &format!("overlay 225280 0 - Live 0x0\n{tcp}{inet}")));
        assert!(!are_listed(&OF_TCP, tcp) && !are_listed(&OF_TCP, inet) && !are_listed(&OF_TCP, ""));
        assert!(!are_listed(&OF_TCP, &format!("{inet}{}", tcp.replace("Live", "Unloading"))));
        assert!(!are_listed(&OF_TCP, &format!("{inet}{}", tcp.replace("tcp_diag", "xtcp_diag"))));
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
