//! What the kernel tells about a socket of this process only through its descriptor: the path that
//! the peer of a Unix socket is bound to. The tables in `/proc` do not have it.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;

/// The path that the peer of a connected Unix socket is bound to, as in `sockaddr_un`: a name in
/// the abstract namespace begins with a zero. `None` for a socket of another family, and if the
/// peer has no name.
///
/// Neither call waits for a lock that a thread can hold while it sleeps. That is true of Unix
/// sockets only: for an internet socket, `getpeername` waits for whoever uses the socket.
///
/// # Errors
/// The kernel refuses to say.
pub(crate) fn unix_peer(descriptor: i32) -> io::Result<Option<Vec<u8>>> {
    let mut family: c_int = 0;
    let mut length = socklen(size_of::<c_int>());
    // SAFETY: `family` and `length` are valid for writes, and `length` is the size of `family`.
    let result = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut family).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if family != libc::AF_UNIX {
        return Ok(None);
    }
    let mut address = libc::sockaddr_un { sun_family: 0, sun_path: [0; 108] };
    let mut length = socklen(size_of_val(&address));
    // SAFETY: `address` and `length` are valid for writes, and `length` is the size of `address`.
    let result = unsafe { libc::getpeername(descriptor, (&raw mut address).cast(), &raw mut length) };
    if result != 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::NotConnected { Ok(None) } else { Err(error) };
    }
    let length = usize::try_from(length).unwrap_or(0).saturating_sub(size_of::<libc::sa_family_t>());
    let path = address.sun_path.get(..length).filter(|path| !path.is_empty());
    // `c_char` is signed on one architecture and unsigned on the other.
    Ok(path.map(|path| path.iter().map(|byte| byte.to_ne_bytes()[0]).collect()))
}

fn socklen(size: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(size).unwrap_or(libc::socklen_t::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use super::*;

    #[test]
    fn only_a_unix_socket_whose_peer_is_bound_has_one() {
        let name = format!("gmr-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).unwrap();
        let expected = [&b"\0"[..], name.as_bytes()].concat();
        assert_eq!(unix_peer(client.as_raw_fd()).unwrap(), Some(expected));
        let (server, _) = listener.accept().unwrap();
        assert_eq!(unix_peer(server.as_raw_fd()).unwrap(), None, "the client has no name");
        assert_eq!(unix_peer(listener.as_raw_fd()).unwrap(), None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(unix_peer(client.as_raw_fd()).unwrap(), None);
        assert_eq!(unix_peer(-1).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
