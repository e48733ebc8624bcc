//! The wording of findings.

use crate::model::Severity;

/// Shown if there are no findings.
pub(in crate::views) const NO_FINDINGS: &str = "no problems detected";

/// `error`, `warning`, `info`
pub(in crate::views) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}
