//! Something that was looked at, and what was found. It looks at nothing itself.

use std::io;

use serde::Serialize;

/// Something that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) about: &'static str,
    pub(super) result: Result,
    /// What was found.
    pub(super) fact: String,
    pub(super) remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Result {
    Good,
    /// Worth knowing.
    Note,
    /// Reports do not come, or lack something.
    Problem,
    /// It could not be looked at.
    Unknown,
}

impl Check {
    pub(super) fn good(about: &'static str, fact: impl Into<String>) -> Self {
        Self { about, result: Result::Good, fact: fact.into(), remedy: None }
    }

    pub(super) fn note(about: &'static str, fact: impl Into<String>) -> Self {
        Self { result: Result::Note, ..Self::good(about, fact) }
    }

    pub(super) fn problem(about: &'static str, fact: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { result: Result::Problem, ..Self::note(about, fact) }.with(remedy)
    }

    pub(super) fn unknown(about: &'static str, error: &io::Error) -> Self {
        let fact = format!("it could not be looked at: {error}");
        let check = Self { result: Result::Unknown, ..Self::good(about, fact) };
        check.with("run this command as the user of the process, or as root with CAP_SYS_PTRACE")
    }

    pub(super) fn with(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
