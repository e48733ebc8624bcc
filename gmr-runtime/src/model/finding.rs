//! Findings: problems that were detected in a report.

use serde::{Deserialize, Serialize};

/// A problem that was detected, or a fact worth knowing.
///
/// The evidence is in the sections: a finding refers to threads, tasks, frames and a section.
/// `docs/findings.md` describes each rule.
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
    /// How sure it is. Added in version 1.3.
    #[serde(default)]
    pub certainty: Certainty,
    /// What it was concluded from. Added in version 1.3.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// What to look at next. Added in version 1.3.
    pub next: Option<String>,
}

/// A fact from which a finding was concluded. Its thread, task and frame are in the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Evidence {
    /// The fact, for the reader of the report. Its wording can change between releases.
    pub message: String,
    /// Id of the thread that it is about.
    pub thread: Option<u32>,
    /// Id of the task that it is about.
    pub task: Option<u64>,
    /// The place in the code that it is about, as an index into the report's `frames`.
    pub frame: Option<u32>,
}

/// How sure a finding is. In order, the surest comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Certainty {
    /// The report shows it.
    #[default]
    Certain,
    /// Everything that the report shows agrees with it, but does not prove it.
    Probable,
    /// The report shows signs of it.
    Possible,
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
