//! Findings.

use crate::model::Severity;

/// What is said where there are none.
pub(in crate::views) const NO_FINDINGS: &str = "no problems detected";

/// `error`, `warning`, `info`
pub(in crate::views) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}
