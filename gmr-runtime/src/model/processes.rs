//! The Processes section.

use serde::{Deserialize, Serialize};

/// This process and, below it, its children.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Processes {
    /// This process first, each process before its children.
    pub processes: Vec<Process>,
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// The id of the process's parent.
    pub parent_pid: u32,
    /// How far below this process it is: 0 for this process, 1 for its children.
    pub depth: usize,
    /// The name of the real user, where `/etc/passwd` has it.
    pub user: Option<String>,
    /// User ids.
    pub uids: Option<Ids>,
    /// Group ids.
    pub gids: Option<Ids>,
    /// What the kernel says it is doing: `running`, `sleeping`, `zombie`, ...
    pub state: Option<String>,
    /// The command line, secrets masked; the name in brackets where the kernel has no command line.
    pub command: Vec<String>,
}

/// The three ids that a process has for user and group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ids {
    /// The real id.
    pub real: u32,
    /// The effective id.
    pub effective: u32,
    /// The saved id.
    pub saved: u32,
}
