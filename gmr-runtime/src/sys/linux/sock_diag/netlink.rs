//! Requests to the kernel about sockets, and the bytes that it answers. It knows no kind of socket.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::sandbox;
use crate::sys::proc;

/// Whether the kernel has refused a request. It would refuse the next one as well, and a security
/// module may log each.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Whether the kernel may be asked for what these of its modules answer.
pub(super) fn may_ask(modules: &[&str]) -> bool {
    !sandbox::may_end_the_process() && !IS_REFUSED.load(Ordering::Relaxed) && are_loaded(modules)
}

/// What was read. Remembers if the kernel has refused the request.
pub(super) fn answered<T>(read: io::Result<T>) -> Option<T> {
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
pub(super) struct MessageHeader {
    pub(super) length: u32,
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) port: u32,
}

/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// Sends a request. The kernel has handled it when this returns.
pub(super) fn send(request: &[u8]) -> io::Result<OwnedFd> {
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
pub(super) fn receive_some(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
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

pub(super) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A message with this content.
    pub(in super::super) fn message(kind: i32, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(size_of::<MessageHeader>() + content.len()).unwrap();
        let kind = u16::try_from(kind).unwrap().to_ne_bytes();
        let mut message = [&length.to_ne_bytes()[..], &kind, &[0; 10], content].concat();
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn all_modules_must_be_loaded() {
        const OF_TCP: [&str; 2] = ["inet_diag", "tcp_diag"];
        let inet = "inet_diag 28672 1 tcp_diag, Live 0x0000000000000000\n";
        let tcp = "tcp_diag 12288 0 - Live 0x0000000000000000\n";
        assert!(are_listed(&OF_TCP, &format!("overlay 225280 0 - Live 0x0\n{tcp}{inet}")));
        assert!(!are_listed(&OF_TCP, tcp) && !are_listed(&OF_TCP, inet) && !are_listed(&OF_TCP, ""));
        assert!(!are_listed(&OF_TCP, &format!("{inet}{}", tcp.replace("Live", "Unloading"))));
        assert!(!are_listed(&OF_TCP, &format!("{inet}{}", tcp.replace("tcp_diag", "xtcp_diag"))));
    }
}
