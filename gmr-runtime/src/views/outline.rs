//! A report in one line, for the log that says where it is.

use std::borrow::Cow;

use super::escape::clean_whole;
use super::words::{NO_FINDINGS, finding, severity};
use crate::model::{Report, Severity};
use crate::units::counted;

/// Text on one line, without anything that a terminal would interpret.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    clean_whole(text)
}

/// `error: deadlock: ..`: the findings, a line for each.
#[cfg(feature = "tracing")]
pub(crate) fn findings(report: &Report) -> String {
    let lines =
        report.findings.iter().map(|found| format!("{}: {}", severity(found.severity), finding(found)));
    lines.collect::<Vec<_>>().join("\n")
}

/// `report 3 (1 error, 2 infos; deadlock: ..)`: a report in a few words, for the line that says
/// where it is.
pub(crate) fn outline(report: &Report) -> String {
    let number = report.heading.number;
    let Some(first) = report.findings.first() else {
        return format!("report {number} ({NO_FINDINGS})");
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Info].map(|kind| {
        let count = report.findings.iter().filter(|found| found.severity == kind).count();
        (count > 0).then(|| counted(count, severity(kind)))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    format!("report {number} ({}; {})", counts.join(", "), finding(first))
}
