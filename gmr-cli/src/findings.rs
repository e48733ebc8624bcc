//! The findings of reports, and which of two reports say the same: by their code and what they say,
//! but for the numbers in it. It makes none.

use gmr_runtime::model::Finding;
use gmr_runtime::{__cli, Report};
use serde::Serialize;
use serde_json::Value;

use crate::output::{Page, Style};

/// A finding as it is listed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Found {
    pub(crate) code: String,
    pub(crate) severity: String,
    pub(crate) certainty: String,
    pub(crate) message: String,
}

/// What two findings that say the same have in common.
pub(crate) type Key = (String, String);

/// Without numbers: an id, an address or a time is not what a finding says.
pub(crate) fn key(finding: &Finding) -> Key {
    // One that is only possible is not the same as one that is certain.
    (format!("{} {:?}", finding.code, finding.certainty), __cli::said(&finding.message))
}

/// The keys of all findings of a report.
pub(crate) fn said(report: &Report) -> Vec<Key> {
    report.findings.iter().map(key).collect()
}

impl Found {
    pub(crate) fn of(finding: &Finding) -> Self {
        // As the report's JSON has it.
        let name = |value: serde_json::Result<Value>| match value {
            Ok(Value::String(name)) => name,
            _ => String::new(),
        };
        Self {
            code: finding.code.clone(),
            severity: name(serde_json::to_value(finding.severity)),
            certainty: name(serde_json::to_value(finding.certainty)),
            message: finding.message.clone(),
        }
    }

    /// Adds `error: ..` to the page, after `before`.
    pub(crate) fn show(&self, page: &mut Page, before: &str) {
        let style = Style::of_severity(&self.severity);
        page.styled(2, style, &format!("{before}{}: ", self.severity), &self.text());
    }

    /// What it says, and how certain that is.
    pub(crate) fn text(&self) -> String {
        match &*self.certainty {
            "certain" => self.message.clone(),
            certainty => format!("{} ({certainty})", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_say_the_same_but_for_numbers_and_addresses() {
        let said = |message: &str| {
            let finding = serde_json::json!({
                "code": "x", "severity": "info", "message": message, "threads": [], "tasks": [], "section": null,
            });
            key(&serde_json::from_value(finding).expect("a finding")).1
        };
        assert_eq!(
            said("2 threads wait (futex 0x7fabc0): #12"),
            said("15 threads wait (futex 0x555b63d8): #1940")
        );
        assert_ne!(said("panicked at src/a.rs:46:30"), said("panicked at src/b.rs:46:30"));
    }
}
