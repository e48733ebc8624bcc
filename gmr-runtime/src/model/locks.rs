//! Locks that threads wait for, and the threads that hold them.

use serde::{Deserialize, Serialize};

use super::Certainty;

/// A lock that threads of the program wait for.
///
/// Only locks that gmr knows are listed: those of std, mutexes of the C library, and those that the
/// kernel knows the owners of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Lock {
    /// Its address.
    pub address: u64,
    /// What it is.
    pub kind: LockKind,
    /// The threads that wait for it.
    pub waiters: Vec<Waiter>,
    /// The threads that hold it, as far as they are known.
    pub holders: Vec<Holder>,
}

/// What a lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LockKind {
    /// std's `Mutex`, or its `ReentrantLock`, which is in `Stdout`.
    Mutex,
    /// std's `RwLock`.
    RwLock,
    /// std's `Once`, which is in `OnceLock` and `LazyLock`. The thread that initializes it holds
    /// it.
    Once,
    /// A mutex of the C library (`pthread_mutex_t`). It records the thread that holds it.
    PthreadMutex,
    /// A lock whose word is the id of the thread that holds it, as the kernel defines it: a mutex
    /// of the C library that is robust or has priority inheritance.
    Owned,
}

impl LockKind {
    /// What it is called in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mutex => "Mutex",
            Self::RwLock => "RwLock",
            Self::Once => "Once",
            Self::PthreadMutex => "pthread mutex",
            Self::Owned => "lock",
        }
    }
}

/// A thread that waits for a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Waiter {
    /// The id of the thread.
    pub tid: u32,
    /// Where the program locks it, as an index into the report's `frames`.
    pub frame: Option<u32>,
}

/// A thread that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Holder {
    /// The id of the thread.
    pub tid: u32,
    /// The function that will release it, where it is now, as an index into the report's `frames`.
    pub frame: Option<u32>,
    /// How sure it is that the thread holds it.
    pub certainty: Certainty,
}
