//! The wording of findings.

use super::frames::function;
use crate::model::{Certainty, Evidence, Finding, Frame, Severity};
use crate::views::Detail;
use crate::views::escape::clean;
use crate::views::path::short_path;

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

/// The finding's sentence, and how sure it is unless it is certain.
pub(in crate::views) fn finding(finding: &Finding) -> String {
    let message = clean(&finding.message);
    match finding.certainty {
        Certainty::Certain => message.into_owned(),
        Certainty::Probable => format!("{message} (probable)"),
        Certainty::Possible => format!("{message} (possible)"),
    }
}

/// What is shown below the sentence: the evidence, and what to look at next.
pub(in crate::views) fn finding_details<'a>(
    finding: &'a Finding,
    frames: &'a [Frame],
) -> impl Iterator<Item = String> + 'a {
    let evidence = finding.evidence.iter().map(|evidence| self::evidence(evidence, frames));
    let next = finding.next.iter().map(|next| format!("next: {}", clean(next)));
    evidence.chain(next)
}

/// `#7 (main) waits in shop::pay, src/pay.rs:88`
pub(in crate::views) fn evidence(evidence: &Evidence, frames: &[Frame]) -> String {
    let message = clean(&evidence.message);
    let frame = evidence.frame.and_then(|index| frames.get(usize::try_from(index).ok()?));
    let Some(frame) = frame else { return message.into_owned() };
    // As in the short form of stacks.
    let function = function(frame, Detail::Short);
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{message} in {function}, {}:{line}", short_path(file)),
        _ => format!("{message} in {function}"),
    }
}
