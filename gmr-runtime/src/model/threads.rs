//! The Threads section, and what it shares with others: stacks and frames.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Every thread of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Threads {
    /// The threads: the main thread first, gmr's own last, between them in the order of their ids.
    pub threads: Vec<Thread>,
    /// What the reader has to know about the whole section: why symbols are missing, for example.
    pub notes: Vec<String>,
}

/// One thread, as the kernel described it before its stack was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Thread {
    /// The kernel's id of the thread.
    pub tid: u32,
    /// The thread's name; Linux keeps its first 15 bytes.
    pub name: String,
    /// Whose thread it is.
    pub role: Role,
    /// What the kernel says it is doing: `running`, `sleeping`, `disk sleep`, ...
    pub state: Option<String>,
    /// Processor time spent in the program, in milliseconds.
    pub cpu_user_ms: Option<u64>,
    /// Processor time spent in the kernel, in milliseconds.
    pub cpu_system_ms: Option<u64>,
    /// When the thread was started.
    pub started_at: Option<String>,
    /// The scheduling policy: `other`, `fifo`, `rr`, `batch`, `idle`, `deadline`.
    pub policy: Option<String>,
    /// The processor that the thread last ran on.
    pub last_cpu: Option<u32>,
    /// What it waits for in the kernel; none for a thread that was running.
    pub waiting: Option<Waiting>,
    /// The stack, or why there is none.
    pub stack: Stack,
}

/// What a thread waits for in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Waiting {
    /// The name of the system call, or its number where gmr has no name for it.
    pub call: String,
    /// The descriptor that the call is about.
    pub descriptor: Option<i32>,
    /// What that descriptor is: `pipe:[4711]`, a path, `TCP 127.0.0.1:5432 -> 127.0.0.1:40112, established`.
    pub target: Option<String>,
    /// The address of the futex: the lock, condition variable, channel or parked thread that it waits on.
    pub futex: Option<u64>,
    /// How many other threads wait on the same futex.
    pub futex_others: usize,
    /// The function of the kernel that it is in, where the wait cannot be interrupted.
    pub kernel_function: Option<String>,
}

/// Whose thread it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The thread that runs `main`.
    Main,
    /// A thread of the program.
    Program,
    /// A thread of gmr's that is making this report.
    Reporter,
    /// Any other thread of gmr's: one that runs a section which does not come back.
    Gmr,
}

impl Role {
    /// Whether it is the program's, and not gmr's own.
    pub(crate) fn is_program(self) -> bool {
        matches!(self, Self::Main | Self::Program)
    }
}

/// A thread's stack.
///
/// Threads that share a stack share its frames in memory as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Stack {
    /// The frames, innermost first, as indices into the report's list `frames`.
    /// Frames of inlined functions come before the frame they were inlined into.
    pub frames: Arc<[u32]>,
    /// Why the stack is missing (no frames), or why it ends before the thread's first function.
    pub incomplete: Option<String>,
}

impl Stack {
    /// A stack that could not be taken, and why.
    pub(crate) fn missing(reason: impl Into<String>) -> Self {
        Self { frames: Arc::default(), incomplete: Some(reason.into()) }
    }
}

/// One frame of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Frame {
    /// The address of the instruction, in the process's memory. In frames other than the innermost it is the return
    /// address.
    pub address: u64,
    /// The name of the function, demangled, without the hash.
    pub function: Option<String>,
    /// The source file, as the debug information has it.
    pub file: Option<String>,
    /// The line in the file, from 1.
    pub line: Option<u32>,
    /// The text of that line, where the file could be read.
    pub source: Option<String>,
    /// The compiler had inlined this function into the one of the next frame.
    pub inlined: bool,
    /// The path of the executable or library that the address belongs to.
    pub module: Option<String>,
    /// The address, relative to the module: what `addr2line` takes.
    pub module_offset: Option<u64>,
    /// The GNU build-id of the module, in hexadecimal.
    pub build_id: Option<String>,
}
