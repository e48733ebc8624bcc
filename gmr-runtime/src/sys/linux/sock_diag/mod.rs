//! Sockets, as the kernel lists them on request (`sock_diag(7)`): the TCP sockets of this network
//! namespace, in a twentieth of the time that it takes to write `/proc/net/tcp`; and the sockets that
//! Unix sockets are connected to, which no file has.
//!
//! A request is made only where it changes nothing. A kernel that has this interface in a module
//! loads the module when it is first needed; a report must not do that. Where system calls are
//! filtered, the calls are not made either: a filter may answer them by ending the process.

mod netlink;
mod tcp;
mod unix;

pub(crate) use tcp::{Family, TcpSocket, Which, tcp_sockets};
pub(crate) use unix::unix_peer;
