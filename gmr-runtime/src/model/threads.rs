//! The Threads section, and the stacks and frames that other sections use as well.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Lock, Waiting, lists};

/// The threads of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Threads {
    /// The threads: the main thread first, then the program's by id, gmr's own last. If a trigger
    /// is about a thread, such as one that panics, that one comes before all others.
    #[serde(deserialize_with = "lists::tight")]
    pub threads: Vec<Thread>,
    /// Remarks on the section as a whole, for example why symbols are missing.
    pub notes: Vec<String>,
    /// How far the stacks of these threads reach. Added in version 1.2.
    #[serde(default)]
    pub coverage: Coverage,
    /// The locks that threads of the program wait for, in order of their addresses. At most 64.
    /// Added in version 1.3.
    #[serde(default)]
    pub locks: Vec<Lock>,
}

/// How far the stacks of threads reach.
///
/// Every frame but the innermost one was found by the unwind rule for the code of the frame before
/// it. Where there is no such rule, a stack ends: no frame is guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Coverage {
    /// The number of frames in all stacks, without inlined functions.
    pub frames: u64,
    /// How many stacks reach the first function of their thread.
    pub whole: u64,
    /// The stacks that end before it or are missing, by reason, the most frequent first.
    pub cut: Vec<CutStacks>,
}

/// The stacks that end for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CutStacks {
    /// Why they end, as in `incomplete` of each of them.
    pub reason: String,
    /// How many there are.
    pub stacks: u64,
}

/// One thread. Its state is that from before its stack was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Thread {
    /// The thread id that the kernel uses (`gettid`).
    pub tid: u32,
    /// The thread's name. Linux keeps at most 15 bytes.
    pub name: String,
    /// Whether the thread is the program's, the kernel's or gmr's.
    pub role: Role,
    /// The state reported by the kernel: `running`, `sleeping`, `disk sleep` and so on.
    pub state: Option<String>,
    /// CPU time spent in user mode, in milliseconds.
    pub cpu_user_ms: Option<u64>,
    /// CPU time spent in the kernel, in milliseconds.
    pub cpu_system_ms: Option<u64>,
    /// All CPU time, in microseconds, by the clock of the thread. Absent where that counts ticks, as
    /// the two above do. Added in version 1.3.
    pub cpu_us: Option<u64>,
    /// When the thread was started: RFC 3339, UTC.
    pub started_at: Option<String>,
    /// The scheduling policy: `other`, `fifo`, `rr`, `batch`, `idle`, `deadline`.
    pub policy: Option<String>,
    /// Number of the CPU that the thread last ran on, from 0.
    pub last_cpu: Option<u32>,
    /// The system call that the thread is blocked in. Absent if it was running.
    pub waiting: Option<Box<Waiting>>,
    /// For how long it has not run, at least, in milliseconds: since the first report that saw it
    /// as this one does. Absent if it has run since the last report. Added in version 1.3.
    pub at_rest_ms: Option<u64>,
    /// The stack, or the reason why there is none.
    pub stack: Stack,
}

/// Whose thread it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The main thread.
    Main,
    /// Another thread of the program.
    Program,
    /// A thread that the kernel has started in the process, such as a worker of `io_uring`. It runs
    /// no code of the program and has no stack in it.
    Kernel,
    /// A gmr thread that is making this report.
    Reporter,
    /// Another gmr thread, for example one that runs a section that does not return.
    Gmr,
}

impl Role {
    /// Whether the thread is the program's.
    pub(crate) fn is_program(self) -> bool {
        matches!(self, Self::Main | Self::Program)
    }
}

/// The stack of a thread or a task.
///
/// Threads with the same stack share its indices in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Stack {
    /// The frames, innermost first, as indices into the report's `frames`. An inlined function
    /// comes before the function that it is inlined into.
    pub frames: Arc<[u32]>,
    /// Why there are no frames, or why they end before the thread's first function.
    pub incomplete: Option<String>,
    /// How the stack of a thread was taken. Absent if there is none, and for tasks.
    pub taken: Option<Taken>,
}

/// How the stack of a thread was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Taken {
    /// Read from memory while the thread was blocked. The thread did not notice.
    #[serde(rename = "at rest")]
    AtRest,
    /// By a signal: the thread was running, or its stack could not be read with certainty.
    #[serde(rename = "by signal")]
    BySignal,
}

impl Stack {
    /// Why the stack of a thread is missing that was listed and has ended since.
    pub(crate) const EXITED: &str = "it exited during the capture";

    /// A stack that could not be captured.
    pub(crate) fn missing(reason: impl Into<String>) -> Self {
        Self { incomplete: Some(reason.into()), ..Self::default() }
    }
}

/// One frame of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Frame {
    /// The address in the process's memory: of the current instruction in the innermost frame, the
    /// return address in the others.
    pub address: u64,
    /// The function's name, demangled, without the hash.
    pub function: Option<String>,
    /// The source file, as recorded in the debug information.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// The text of that line, if the file could be read.
    pub source: Option<String>,
    /// Whether this function is inlined into the function of the next frame.
    pub inlined: bool,
    /// The path of the executable or library that contains the address.
    pub module: Option<String>,
    /// The address relative to the module, as `addr2line` expects it.
    pub module_offset: Option<u64>,
    /// The GNU build-id of the module, in hexadecimal.
    pub build_id: Option<String>,
}

impl Frame {
    /// Whether its function belongs to std or, as it has no path, to the C library. One without a
    /// name counts as such.
    pub(crate) fn is_of_std(&self) -> bool {
        let Some(name) = self.function.as_deref() else { return true };
        let path = name.trim_start_matches(['<', '&']);
        !name.contains("::") || ["std::", "core::", "alloc::"].iter().any(|of_std| path.starts_with(of_std))
    }
}
