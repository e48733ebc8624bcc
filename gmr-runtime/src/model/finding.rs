//! Findings: problems that were detected in a report.

use serde::{Deserialize, Serialize};

/// A problem that was detected, or a fact worth knowing.
///
/// The evidence is in the sections: a finding refers to threads, tasks and a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Finding {
    /// The rule that fired, for example `thread.lock-wait`. Stable across releases.
    pub code: String,
    /// How severe it is.
    pub severity: Severity,
    /// One sentence for the reader of the report. Its wording can change between releases.
    pub message: String,
    /// Ids of the threads concerned.
    pub threads: Vec<u32>,
    /// Ids of the tasks concerned.
    pub tasks: Vec<u64>,
    /// Title of the section concerned, if any.
    pub section: Option<String>,
}

/// How severe a finding is. In order, the most severe comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Something has failed or is blocked.
    Error,
    /// Something may be wrong.
    Warning,
    /// Not a problem by itself, but useful to know.
    Info,
}
