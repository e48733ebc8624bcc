//! The Processes section: this process and its children.

use serde::{Deserialize, Serialize};

use super::lists;

/// This process and its descendants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Processes {
    /// The processes: this one first, and each before its children.
    #[serde(deserialize_with = "lists::tight")]
    pub processes: Vec<Process>,
    /// What could not be read of them.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// The id of its parent process.
    pub parent_pid: u32,
    /// Depth in the tree: 0 for this process, 1 for its children.
    pub depth: usize,
    /// The name of the real user, from `/etc/passwd`.
    pub user: Option<String>,
    /// User ids.
    pub uids: Option<Ids>,
    /// Group ids.
    pub gids: Option<Ids>,
    /// The state reported by the kernel: `running`, `sleeping`, `zombie` and so on.
    pub state: Option<String>,
    /// The command line, secrets masked. If the kernel has no command line, the process name in
    /// brackets.
    pub command: Vec<String>,
    /// Processor time in the process's own code, in milliseconds. Added in version 1.3.
    pub cpu_user_ms: Option<u64>,
    /// Processor time in the kernel, in milliseconds. Added in version 1.3.
    pub cpu_system_ms: Option<u64>,
    /// Its memory that is in RAM. Added in version 1.3.
    pub resident_bytes: Option<u64>,
    /// For how long it has been known, in milliseconds, that it has ended, if its parent has not
    /// waited for it: since the first report that saw it like that. Added in version 1.3.
    pub ended_for_ms: Option<u64>,
}

/// The user ids, or the group ids, of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Ids {
    /// The real id.
    pub real: u32,
    /// The effective id.
    pub effective: u32,
    /// The saved id.
    pub saved: u32,
}
