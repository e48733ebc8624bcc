//! What a thread waits for: the system call that it is blocked in, and what the call is about.

use serde::{Deserialize, Serialize};

/// The system call that a thread is blocked in.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Waiting {
    /// The system call's name, or its number if gmr does not know the name.
    pub call: String,
    /// The file descriptor that the call uses.
    pub descriptor: Option<i32>,
    /// What that descriptor refers to: a path, `pipe:[4711]`, or a socket as in
    /// `TCP 127.0.0.1:5432 -> 127.0.0.1:40112, established`.
    pub target: Option<String>,
    /// The address of the futex that the thread waits on. Locks, condition variables, channels and
    /// parked threads wait on futexes.
    pub futex: Option<u64>,
    /// Number of other threads that wait on the same futex.
    pub futex_others: usize,
    /// The kernel function that the thread is in, if the wait is uninterruptible.
    pub kernel_function: Option<String>,
}
