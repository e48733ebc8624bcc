//! The serialized form of a report: the model, preceded by the version of its schema.
//!
//! `docs/report-schema.md` documents this form and promises what may change in it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Content, Finding, Frame, Heading, Lock, Report, Section, Stack, Summary};

/// The version of the schema that this release writes: `MAJOR.MINOR`.
///
/// A minor version adds to the schema, a major version can change anything. The details are in
/// `docs/report-schema.md`.
pub const SCHEMA_VERSION: &str = "1.3";

/// The prefix of every version that this release can read.
const MAJOR: &str = "1.";

/// The form that is deserialized, and that the JSON Schema describes.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        title = "Guru Meditation Report",
        description = "A diagnostic report of a running process, as written by gmr. See report-schema.md."
    )
)]
struct Document {
    /// The version of the schema: `MAJOR.MINOR`.
    schema_version: String,
    /// The report's number, time, process and trigger.
    heading: Heading,
    /// Problems that were detected, the most severe first. Added in version 1.1.
    #[serde(default)]
    findings: Vec<Finding>,
    /// The sections, in display order.
    sections: Vec<Section>,
    /// The frames of all stacks. A stack refers to them by index, from 0.
    frames: Vec<Frame>,
    /// Totals of the report.
    summary: Summary,
}

/// The form that is serialized: [`Document`], borrowed.
#[derive(Serialize)]
#[serde(rename = "Document")]
struct DocumentRef<'a> {
    schema_version: &'static str,
    heading: &'a Heading,
    findings: &'a [Finding],
    sections: &'a [Section],
    frames: &'a [Frame],
    summary: &'a Summary,
}

/// Checks that this release can read a document of this version.
///
/// # Errors
/// The version has another major number.
pub(crate) fn check_version(version: &str) -> Result<(), String> {
    if version.starts_with(MAJOR) {
        return Ok(());
    }
    Err(format!("schema version {version} is not supported; expected {MAJOR}x"))
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { heading, findings, sections, frames, summary } = self;
        let schema_version = SCHEMA_VERSION;
        DocumentRef { schema_version, heading, findings, sections, frames, summary }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl TryFrom<Document> for Report {
    type Error = String;

    /// # Errors
    /// The document has another major version, or a stack refers to a frame that it does not have.
    fn try_from(document: Document) -> Result<Self, String> {
        let Document { schema_version, heading, findings, sections, frames, summary } = document;
        check_version(&schema_version)?;
        for section in &sections {
            check_frames(&section.content, frames.len())?;
        }
        check_evidence(&findings, frames.len())?;
        Ok(Self { heading, findings, sections, frames, summary })
    }
}

/// Checks that every frame that a lock refers to exists.
///
/// # Errors
/// One does not.
fn check_locks(locks: &[Lock], count: usize) -> Result<(), String> {
    let waiters = locks.iter().flat_map(|lock| &lock.waiters).filter_map(|waiter| waiter.frame);
    let holders = locks.iter().flat_map(|lock| &lock.holders).filter_map(|holder| holder.frame);
    match waiters.chain(holders).find(|&frame| usize::try_from(frame).map_or(true, |frame| frame >= count)) {
        Some(frame) => Err(format!("a lock refers to frame {frame}, but there are {count} frames")),
        None => Ok(()),
    }
}

/// Checks that every frame that evidence refers to exists.
///
/// # Errors
/// One does not.
fn check_evidence(findings: &[Finding], count: usize) -> Result<(), String> {
    let frames = findings.iter().flat_map(|finding| &finding.evidence).filter_map(|evidence| evidence.frame);
    match frames.into_iter().find(|&frame| usize::try_from(frame).map_or(true, |frame| frame >= count)) {
        Some(frame) => Err(format!("a finding refers to frame {frame}, but there are {count} frames")),
        None => Ok(()),
    }
}

/// Checks that every frame index of the content is below `count`.
///
/// # Errors
/// A stack refers to a frame that the document does not have.
fn check_frames(content: &Content, count: usize) -> Result<(), String> {
    let exists = |index: &&u32| usize::try_from(**index).is_ok_and(|index| index < count);
    let check = |stack: &Stack| match stack.frames.iter().find(|index| !exists(index)) {
        Some(index) => Err(format!("a stack refers to frame {index}, but there are {count} frames")),
        None => Ok(()),
    };
    match content {
        Content::Threads(threads) => {
            check_locks(&threads.locks, count)?;
            threads.threads.iter().try_for_each(|thread| check(&thread.stack))
        }
        Content::GreenThreads(section) => {
            section.tasks.iter().flat_map(|task| &*task.stacks).try_for_each(check)
        }
        Content::Configuration(groups) => {
            groups.iter().try_for_each(|group| check_frames(&group.content, count))
        }
        Content::Panicked(panicked) => check(&panicked.stack),
        Content::TimedOut(timed_out) => check(&timed_out.overdue.stack),
        Content::StillRunning(overdue) => check(&overdue.stack),
        Content::Package(_)
        | Content::Resources(_)
        | Content::Processes(_)
        | Content::Descriptors(_)
        | Content::Modules(_)
        | Content::Environment(_)
        | Content::Spans(_)
        | Content::Events(_)
        | Content::Fields(_)
        | Content::Text(_)
        | Content::Nothing
        | Content::Error(_)
        | Content::Skipped(_) => Ok(()),
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Report {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Document::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Document::json_schema(generator)
    }
}
