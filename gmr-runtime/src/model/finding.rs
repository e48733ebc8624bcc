//! What is wrong, or may be, as data.

use serde::{Deserialize, Serialize};

/// Something in a report that deserves attention.
///
/// Its evidence is in the sections: a finding names the threads, tasks and sections it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Finding {
    /// The rule that found it: `thread.lock-wait`. It stays the same between releases.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence for the person who reads the report.
    pub message: String,
    /// The ids of the threads it is about.
    pub threads: Vec<u32>,
    /// The ids of the tasks it is about.
    pub tasks: Vec<u64>,
    /// The title of the section it is about, where it is about one.
    pub section: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something may be wrong.
    Warning,
    /// Worth knowing.
    Info,
}
