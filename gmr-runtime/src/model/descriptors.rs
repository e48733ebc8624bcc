//! The Descriptors section: what the process has open.

use serde::{Deserialize, Serialize};

/// The open descriptors of the process, counted by kind, and the sockets and files among them.
///
/// The lists are limited in length. What they leave out is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Descriptors {
    /// Number of open descriptors.
    pub open: Option<u64>,
    /// Number of descriptors that were read for this report. The others are in no list and no
    /// count.
    pub read: u64,
    /// How many the process may have open, from `RLIMIT_NOFILE`. `None` if it is not known.
    pub limit: Option<u64>,
    /// The kinds, the most frequent first.
    pub kinds: Vec<DescriptorKind>,
    /// The sockets, grouped; the largest groups first.
    pub sockets: Vec<SocketGroup>,
    /// Number of sockets in groups that are not listed.
    pub more_sockets: u64,
    /// The files: deleted ones first, then by descriptor.
    pub files: Vec<OpenFile>,
    /// Number of descriptors of files that are not listed.
    pub more_files: u64,
    /// What could not be read.
    pub notes: Vec<String>,
    /// The highest of the descriptors. `None` if only the lowest ones were read. Added in version
    /// 1.3.
    pub highest: Option<i32>,
    /// How often a connection was dropped in this network namespace because the accept queue of a
    /// listening socket was full, of all processes together. It is read only if a listed socket has
    /// such a queue. Added in version 1.3.
    pub listen_overflows: Option<u64>,
    /// The local ports that connections of the process use. It is read only if the network namespace
    /// has so many connections that the kernel may run out of ports. Added in version 1.3.
    pub ephemeral_ports: Option<EphemeralPorts>,
}

/// The ports from which the kernel chooses one for each connection that is made, and how many of
/// them are in use. A port can be used for connections to several peers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EphemeralPorts {
    /// The first of these ports.
    pub first: u16,
    /// The last of them.
    pub last: u16,
    /// How many they are, without those that are reserved.
    pub available: u64,
    /// How many are used for each peer to which this process has connections; those with most
    /// first, and at most eight.
    pub peers: Vec<PortsOfPeer>,
}

/// How many ports are used for connections from one address to one peer, by all processes of the
/// network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PortsOfPeer {
    /// The local address.
    pub local: String,
    /// The address and the port of the peer.
    pub peer: String,
    /// How many ports are in use, so that no other connection can have them.
    pub used: u64,
    /// How many of these are of connections that were closed and wait for late packets.
    pub closed: u64,
    /// How many of these are of connections that this process has open.
    pub own: u64,
}

/// A kind of descriptors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DescriptorKind {
    /// Its name: `file`, `TCP socket`, `pipe`, `eventfd`.
    pub name: String,
    /// Number of descriptors of this kind.
    pub count: u64,
}

/// Sockets that have protocol, state, and either the peer or the local address in common: the peer
/// for connections that this process has made, the local address for those that it has accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SocketGroup {
    /// The protocol: `TCP`, `UDP`, `Unix`, `netlink`, or the kernel's name of another one.
    pub protocol: String,
    /// The local address, if the sockets have it in common.
    pub local: Option<String>,
    /// The address of the peer, if the sockets have it in common.
    pub peer: Option<String>,
    /// The state: `established`, `listening`. `None` if the protocol has none, or if it is not
    /// known.
    pub state: Option<String>,
    /// Number of sockets.
    pub count: u64,
    /// Number of distinct peers, if the sockets do not have it in common.
    pub peers: u64,
    /// What has arrived and was not read, in bytes, all sockets together.
    pub receive_queue_bytes: u64,
    /// What was sent and has not been acknowledged, in bytes, all sockets together.
    pub send_queue_bytes: u64,
    /// For a TCP socket that listens: number of connections that wait to be accepted.
    pub accept_queue: Option<u64>,
    /// The lowest of the descriptors.
    pub descriptor: i32,
    /// For a TCP socket that listens: how many connections may wait to be accepted. If one more
    /// does, the kernel drops new ones. `None` where the kernel does not say. Added in version 1.3.
    pub accept_queue_max: Option<u64>,
}

/// A file that is open, or several descriptors with the same path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OpenFile {
    /// The lowest of the descriptors.
    pub descriptor: i32,
    /// Number of descriptors with this path.
    pub count: u64,
    /// The path, as the kernel shows it, secrets masked.
    pub path: String,
    /// Whether the file was removed, or replaced by another one of the same name. Its space on the
    /// disk is in use until it is closed.
    pub deleted: bool,
    /// The position of the lowest descriptor in the file. `None` where there is none, as in a
    /// directory.
    pub position: Option<u64>,
    /// The length of the file. `None` if it is none, and for a network file system, which may not
    /// answer.
    pub size_bytes: Option<u64>,
    /// What the lowest descriptor is open for: `read`, `write`, `read and write`, `append`.
    pub access: Option<String>,
    /// The size of the disk, or other file system, that the file is on. Only for a file that is
    /// open for writing, and not for a network file system. Added in version 1.3.
    pub disk_bytes: Option<u64>,
    /// What is left of it, without what is reserved for privileged users. Added in version 1.3.
    pub disk_free_bytes: Option<u64>,
    /// How many files and directories there can be on that disk. `None` if their number is not
    /// limited. Added in version 1.3.
    pub disk_inodes: Option<u64>,
    /// How many more can be created, without what is reserved for privileged users. Added in version
    /// 1.3.
    pub disk_free_inodes: Option<u64>,
}
