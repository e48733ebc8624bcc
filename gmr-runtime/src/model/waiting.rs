//! What a thread waits for: the system call that it is blocked in, and what the call is about.

use serde::{Deserialize, Serialize};

/// The system call that a thread is blocked in, and what it waits for.
///
/// What the call's arguments point to (paths, addresses, lists of descriptors) is read from the
/// process's memory while the thread is in the call. It is absent if the thread left the call
/// meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Waiting {
    /// The system call's name, or its number if gmr does not know the name. Variants of a call
    /// share a name: `openat` is an `open`, `accept4` an `accept`. A `clone` whose caller waits
    /// until the child has started another program is a `vfork`.
    pub call: String,
    /// The file descriptor that the call uses. For a call with a relative path, the directory that
    /// the path is relative to.
    pub descriptor: Option<i32>,
    /// What that descriptor refers to: a path, `pipe:[4711]`, or a socket as in
    /// `TCP 127.0.0.1:5432 -> 127.0.0.1:40112, established`, `UDP 127.0.0.1:53` and
    /// `Unix socket [4711] -> /run/shop.sock`.
    pub target: Option<String>,
    /// The address of the futex that the thread waits on. Locks, condition variables, channels and
    /// parked threads wait on futexes.
    pub futex: Option<u64>,
    /// Number of other threads that wait on the same futex or futexes.
    pub futex_others: usize,
    /// The kernel function that the thread is in, if the wait is uninterruptible.
    pub kernel_function: Option<String>,
    /// The thread that holds the lock, if the lock records it: a mutex with priority inheritance
    /// does, and a robust one of glibc. Added in version 1.2.
    pub futex_owner: Option<FutexOwner>,
    /// The address of a second futex, the lock of a condition variable with priority inheritance,
    /// on which the thread waits once it is notified. Added in version 1.2.
    pub requeue_futex: Option<u64>,
    /// The addresses of the futexes, if the thread waits on several at once (`futex_waitv`). Added
    /// in version 1.2.
    #[serde(default)]
    pub futexes: Vec<u64>,
    /// The descriptors of a call that can wait for several: `poll`, `select`, and calls that move
    /// data from one descriptor to another (`splice`, `tee`, `sendfile`, `copy_file_range`). Such a
    /// call has one descriptor here if it is known which of the two it waits for. At most eight.
    /// Added in version 1.2.
    #[serde(default)]
    pub descriptors: Vec<Watched>,
    /// Number of descriptors that the call waits for beyond those in `descriptors`. Added in
    /// version 1.2.
    #[serde(default)]
    pub more_descriptors: usize,
    /// The child processes that the thread waits for. Added in version 1.2.
    pub children: Option<Children>,
    /// The path that the call is about: that of the file that an `open` opens. Of two paths, as
    /// those of `rename`, the first. Secrets in it are masked. Added in version 1.2.
    pub path: Option<String>,
    /// The address that a `connect` or `sendto` is about: `127.0.0.1:5432`, `/run/shop.sock`, or
    /// `@shop` in the abstract namespace of Unix sockets. Added in version 1.2.
    pub peer: Option<String>,
    /// The id of the System V message queue (`msgrcv`, `msgsnd`) or semaphore set (`semop`), as
    /// `ipcs` lists it. Added in version 1.2.
    pub ipc: Option<i32>,
    /// The id of the thread of this process that the thread waits for to end (`pthread_join`,
    /// `JoinHandle::join`), without a timeout. Known with glibc on `x86_64` only. Added in version
    /// 1.3.
    pub joins: Option<u32>,
}

/// A thread that holds a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FutexOwner {
    /// Its id.
    pub tid: u32,
    /// Its name. Absent if it is not a thread of this process.
    pub name: Option<String>,
}

/// One of the descriptors that a call waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Watched {
    /// The file descriptor.
    pub descriptor: i32,
    /// What it refers to, as in [`Waiting::target`].
    pub target: Option<String>,
    /// What the call waits for. Empty if it waits for an error or the end of a connection only.
    pub events: Vec<Event>,
}

/// What a call waits for on a descriptor. Errors are always among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Data to read, or a connection to accept.
    Read,
    /// Space to write to.
    Write,
    /// Urgent data, or another exceptional condition (`POLLPRI`).
    Priority,
    /// That the peer closes its side of a connection (`POLLRDHUP`).
    Hangup,
}

/// The child processes that a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Children {
    /// Any child.
    Any,
    /// One child.
    #[non_exhaustive]
    One {
        /// Its process id.
        pid: u32,
        /// Its name, as `ps` lists it: at most 15 bytes. Absent if the process has no such child.
        name: Option<String>,
    },
    /// Any child in a process group.
    #[non_exhaustive]
    Group {
        /// The group's id.
        id: u32,
    },
    /// Any child in the same process group as this process.
    OwnGroup,
}
