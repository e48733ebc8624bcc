//! From a report to log records of OpenTelemetry: one for its heading, and one for each finding. Each
//! says where the report is stored, and how to open it. Nothing else of the report is in them, and
//! what was masked in it stays masked. What comes from the report is a value, and never a key or a part
//! of a command; nor does it have anything that a terminal would interpret. It sends nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use gmr_runtime::__cli::{self, printable};
use gmr_runtime::Report;
use gmr_runtime::model::{Certainty, Finding, Package, Severity, Trigger};

use super::messages::{
    AnyValue, InstrumentationScope, KeyValue, LogRecord, Resource, ResourceLogs, ScopeLogs, SeverityNumber,
    Value,
};
use crate::output::counted;
use crate::split::package;
use crate::store::Location;

/// The records of a report with this id, which is stored in these tables.
pub(crate) fn records(report: &Report, id: &str, tables: &Location) -> ResourceLogs {
    let package = package(report);
    let of = Of { report, id, tables: &tables.absolute() };
    let findings = (0_u64..).zip(&report.findings).map(|(position, finding)| of.finding(position, finding));
    let scope =
        InstrumentationScope { name: "gmr".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    ResourceLogs {
        resource: Some(resource(report, package)),
        scope_logs: vec![ScopeLogs {
            scope: Some(scope),
            log_records: [of.heading(package)].into_iter().chain(findings).collect(),
        }],
    }
}

/// The process, by OpenTelemetry's semantic conventions.
fn resource(report: &Report, package: Option<&Package>) -> Resource {
    let stated = |name: &str| {
        let stated = package?.kubernetes.iter().find(|stated| stated.name == name)?;
        Some(stated.value.as_str())
    };
    let of = |value: fn(&Package) -> Option<&str>| package.and_then(value);
    let texts = [
        ("service.name", Some(package.and_then(__cli::program).unwrap_or("unknown_service"))),
        ("service.version", of(|package| package.version.as_deref())),
        ("vcs.ref.head.revision", of(|package| package.revision.as_deref())),
        ("host.name", of(|package| package.host.as_deref())),
        ("container.id", of(|package| package.container_id.as_deref())),
        ("k8s.pod.name", stated("pod")),
        ("k8s.namespace.name", stated("namespace")),
        ("k8s.node.name", stated("node")),
        ("k8s.container.name", stated("container")),
        ("process.executable.build_id.gnu", of(|package| package.build_id.as_deref())),
    ];
    let mut attributes: Vec<KeyValue> =
        texts.into_iter().filter_map(|(key, value)| Some(text(key, value?))).collect();
    attributes.push(number("process.pid", report.heading.pid));
    Resource { attributes }
}

/// What all records of a report have in common.
struct Of<'a> {
    report: &'a Report,
    id: &'a str,
    tables: &'a str,
}

impl Of<'_> {
    fn heading(&self, package: Option<&Package>) -> LogRecord {
        let Report { heading, findings, summary, .. } = self.report;
        let program = package.and_then(__cli::program).unwrap_or("a process");
        let version = package.and_then(|package| package.version.as_deref());
        let said = format!(
            "Guru Meditation Report {} of {program}{}, {}: {}, {}",
            heading.number,
            version.map(|version| format!(" {version}")).unwrap_or_default(),
            requested(&heading.trigger),
            counted(summary.threads, "thread"),
            counted(findings.len(), "finding"),
        );
        let attributes = vec![
            number("gmr.report.number", heading.number),
            text("gmr.report.trigger", kind(&heading.trigger)),
            number("gmr.report.threads", summary.threads),
            number("gmr.report.findings", findings.len()),
            number("gmr.report.failed_sections", summary.failed),
        ];
        self.record("gmr.report", self.id, SeverityNumber::Info, &said, attributes)
    }

    fn finding(&self, position: u64, finding: &Finding) -> LogRecord {
        let severity = match finding.severity {
            Severity::Error => SeverityNumber::Error,
            Severity::Warning => SeverityNumber::Warn,
            _ => SeverityNumber::Info,
        };
        let certainty = match finding.certainty {
            Certainty::Certain => "certain",
            Certainty::Probable => "probable",
            _ => "possible",
        };
        let mut attributes = vec![
            text("gmr.finding.code", &finding.code),
            text("gmr.finding.certainty", certainty),
            // By which findings of many processes are grouped.
            text("gmr.finding.said", &__cli::said(&finding.message)),
            number("gmr.finding.threads", finding.threads.len()),
            number("gmr.finding.tasks", finding.tasks.len()),
        ];
        attributes.extend(finding.section.as_deref().map(|section| text("gmr.finding.section", section)));
        attributes.extend(finding.next.as_deref().map(|next| text("gmr.finding.next", next)));
        let uid = format!("{}-{position}", self.id);
        self.record("gmr.finding", &uid, severity, &finding.message, attributes)
    }

    /// `uid` is the same whenever the record is sent: by it, who receives it twice can tell.
    fn record(
        &self,
        name: &str,
        uid: &str,
        severity: SeverityNumber,
        said: &str,
        mut attributes: Vec<KeyValue>,
    ) -> LogRecord {
        attributes.extend([
            exact("log.record.uid", uid),
            exact("gmr.report.id", self.id),
            exact("gmr.report.tables", self.tables),
            exact(
                "gmr.report.open",
                &format!("gmr fleet report {} {} | gmr view -", quoted(self.tables), self.id),
            ),
        ]);
        LogRecord {
            time_unix_nano: nanos(humantime::parse_rfc3339(&self.report.heading.made_at).ok()),
            observed_time_unix_nano: nanos(Some(SystemTime::now())),
            severity_number: severity.into(),
            severity_text: severity.text().to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue(printable(said).into_owned())) }),
            attributes,
            event_name: name.to_owned(),
        }
    }
}

/// 0 is "unknown".
fn nanos(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| since.as_nanos().try_into().ok()).unwrap_or_default()
}

fn kind(trigger: &Trigger) -> &'static str {
    match trigger {
        Trigger::Signal { .. } => "signal",
        Trigger::Api => "api",
        Trigger::Http { .. } => "http",
        Trigger::File { .. } => "file",
        Trigger::Automatic { .. } => "automatic",
        _ => "other",
    }
}

fn requested(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Signal { name, .. } => format!("requested by {name}"),
        Trigger::Api => "requested by the program".to_owned(),
        Trigger::Http { .. } => "requested over HTTP".to_owned(),
        Trigger::File { .. } => "requested by a file".to_owned(),
        Trigger::Automatic { cause, .. } => format!("because {cause}"),
        _ => "requested".to_owned(),
    }
}

/// A text of the report.
fn text(key: &str, value: &str) -> KeyValue {
    exact(key, &printable(value))
}

/// A text that is ours, or the user's.
fn exact(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: impl TryInto<i64>) -> KeyValue {
    attribute(key, Value::IntValue(value.try_into().unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// As an argument in a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=~+,@%".contains(&byte);
    if !text.is_empty() && !text.starts_with('~') && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_argument_of_a_shell() {
        for text in
            ["s3://reports/gmr", "/var/tables", "a b", "it's", "$(touch x)", "~/x", "`x`;y", "", "-x\n"]
        {
            let command = format!("printf %s {}", quoted(text));
            let said = std::process::Command::new("sh").args(["-c", &command]).output().expect("it runs");
            assert_eq!(said.stdout, text.as_bytes(), "{command}");
        }
    }
}
