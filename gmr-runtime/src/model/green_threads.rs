//! The Green Threads section: async tasks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Stack;

/// The tracked async tasks of the process, and the known runtimes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GreenThreads {
    /// The tasks, in the order in which they were spawned.
    pub tasks: Vec<Task>,
    /// The known runtimes.
    pub runtimes: Vec<Runtime>,
    /// Runtimes whose tasks can't be counted. Added in version 1.3.
    #[serde(default)]
    pub uncounted_runtimes: Vec<UncountedRuntime>,
    /// Remarks on the section as a whole, for example that tasks are missing.
    pub notes: Vec<String>,
}

/// One task.
///
/// Names, locations and stacks that tasks have in common are shared in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Task {
    /// The task's number within this process, from 1, in spawn order.
    pub id: u64,
    /// The task's name. By default, the name of its future's type.
    pub name: Arc<str>,
    /// Where it was spawned: file, line and column, as in `src/orders.rs:88:5`.
    pub spawned_at: Arc<str>,
    /// Time since it was spawned, in milliseconds.
    pub age_ms: u64,
    /// Number of times it was polled.
    pub polls: u64,
    /// The task's labels, secrets masked.
    pub labels: Vec<Label>,
    /// Whether it is a function on one of the threads for blocking calls, and not a future. While
    /// it runs, its state is `polling`. Added in version 1.3.
    #[serde(default)]
    pub blocking: bool,
    /// The runtime whose workers poll it, as an index into `runtimes`. Absent if it is not known,
    /// and for what no worker of a runtime polls: the future of a `block_on`, a task of a
    /// `LocalSet` on a runtime with several workers, a function on a thread for blocking calls.
    /// Added in version 1.3.
    #[serde(default)]
    pub runtime: Option<usize>,
    /// Number of places at which its futures have kept a waker in the poll for this report. If it
    /// is 0, nothing wakes the task, unless a future has kept a waker of an earlier poll. Absent if
    /// the task was not polled for the report. Added in version 1.3.
    #[serde(default)]
    pub wakers: Option<usize>,
    /// The innermost open span of `tracing` that the thread which polls the task is inside or, of a
    /// task that waits, that its last poll was in. Absent if there is none, and without gmr's layer
    /// for `tracing`. Added in version 1.3.
    #[serde(default)]
    pub span: Option<TaskSpan>,
    /// What the task is doing.
    pub state: TaskState,
    /// Where the task waits: one stack per pending future that can wake it, each from the innermost
    /// frame out to the task's own. Of a task that is being polled, the part of its thread's stack
    /// that is inside the poll. A stack without frames has a reason. Empty if not known.
    pub stacks: Arc<[Stack]>,
}

/// The span of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TaskSpan {
    /// Identifies the span, as in Spans in Flight.
    pub id: u64,
    /// Its name.
    pub name: Arc<str>,
}

/// A label of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What a task is doing. Durations have a resolution of about 4 ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskState {
    /// A thread is polling the task.
    #[non_exhaustive]
    Polling {
        /// Id of that thread.
        tid: u32,
        /// Name of that thread.
        thread: Option<String>,
        /// Time since the poll began, in milliseconds.
        polling_ms: u64,
    },
    /// The task was woken for this report and has not been polled since.
    #[non_exhaustive]
    Woken {
        /// Time since it was woken, in milliseconds.
        woken_ms: u64,
        /// How long it had been waiting before, in milliseconds.
        waiting_ms: u64,
    },
    /// The task is waiting to be woken.
    #[non_exhaustive]
    Waiting {
        /// Time since its last poll, in milliseconds.
        waiting_ms: u64,
    },
    /// The task has not been polled yet.
    New,
}

/// An async runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Runtime {
    /// Library and flavor: `tokio, multi-thread`.
    pub kind: String,
    /// Number of worker threads.
    pub workers: usize,
    /// Number of live tasks, tracked or not: those that were spawned on the runtime. Does not count
    /// the futures that `block_on` runs, the functions of blocking threads, and the tasks of a
    /// `LocalSet`.
    pub alive_tasks: usize,
    /// Number of these that are not tracked, and so not shown. At least this many: on one thread, a
    /// tracked task of a `LocalSet` can't be distinguished from one of the runtime. `None` if not
    /// known. Added in version 1.3.
    #[serde(default)]
    pub untracked_tasks: Option<usize>,
    /// Whether there is no task, and no worker that waits for one: the runtime may have been
    /// dropped. Otherwise it is between two calls of `block_on`, or runs the future of one that is
    /// not tracked. Added in version 1.3.
    #[serde(default)]
    pub may_be_dropped: bool,
    /// Number of tasks in the queue that all workers share.
    pub queued_tasks: usize,
    /// Number of workers that have neither slept nor finished a round of polls for 20 ms while the
    /// section was made: each was inside a poll, or did not get a processor. Absent unless a task
    /// has been inside one poll for at least 100 ms. Added in version 1.3.
    #[serde(default)]
    pub stuck_workers: Option<usize>,
    /// Busy time of each worker since the runtime was started, in milliseconds. Empty if the
    /// runtime does not measure it.
    pub worker_busy_ms: Vec<u64>,
}

/// A runtime that only the stacks of its threads show, so that its tasks can't be counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UncountedRuntime {
    /// The library: `tokio`, `smol`.
    pub library: String,
    /// Number of threads that are in its code.
    pub threads: usize,
}
