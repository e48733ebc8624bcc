//! The Green Threads section: asynchronous tasks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Stack;

/// The asynchronous tasks of the process, as far as they are tracked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GreenThreads {
    /// The tasks, in the order in which they were started.
    pub tasks: Vec<Task>,
    /// The runtimes that are known.
    pub runtimes: Vec<Runtime>,
    /// What the reader has to know about the whole section.
    pub notes: Vec<String>,
}

/// One task.
///
/// What a hundred thousand tasks have in common they share: names, places and stacks are the same memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Task {
    /// A number of its own, from 1, in the order in which tasks are started.
    pub id: u64,
    /// Its name; by default that of its future's type.
    pub name: Arc<str>,
    /// The line it was started at: `src/orders.rs:88:5`.
    pub spawned_at: Arc<str>,
    /// For how long it has existed, in milliseconds.
    pub age_ms: u64,
    /// How often it was polled.
    pub polls: u64,
    /// What it has been labelled with, secrets masked.
    pub labels: Vec<Label>,
    /// What it is doing.
    pub state: TaskState,
    /// Where it waits: one stack for each future that would wake it, the innermost frame first, up to the task's own. Empty where that is not known.
    pub stacks: Arc<[Stack]>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What a task is doing. Times are exact to some four milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskState {
    /// A thread is inside its poll.
    Polling {
        /// The thread, which Threads shows as well.
        tid: u32,
        /// Its name.
        thread: Option<String>,
        /// For how long, in milliseconds.
        polling_ms: u64,
    },
    /// It was woken for this report, and its runtime has not polled it yet.
    Woken {
        /// For how long, in milliseconds.
        woken_ms: u64,
        /// For how long it had been waiting before, in milliseconds.
        waiting_ms: u64,
    },
    /// It waits.
    Waiting {
        /// For how long, in milliseconds.
        waiting_ms: u64,
    },
    /// It was never polled.
    New,
}

/// A runtime that runs tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Runtime {
    /// `tokio, multi-thread`
    pub kind: String,
    /// How many threads poll its tasks.
    pub workers: usize,
    /// How many tasks it has, tracked or not.
    pub alive_tasks: usize,
    /// How many of them stand in the queue that all its workers share.
    pub queued_tasks: usize,
    /// For how long each worker has been busy since the runtime was started, in milliseconds; empty where that is not told.
    pub worker_busy_ms: Vec<u64>,
}
