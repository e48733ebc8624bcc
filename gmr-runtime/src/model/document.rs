//! The report as it is written down: in JSON, in XML, in a file. The same model with the version of
//! its schema in front.
//!
//! This is the contract with whoever reads reports: `docs/report-schema.md`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Content, Finding, Frame, Heading, Report, Section, Stack, Summary};

/// The version of the schema that is written: a major and a minor number.
/// `docs/report-schema.md` says what a step of either may change.
pub const SCHEMA_VERSION: &str = "1.1";

/// What every version of this major number begins with.
const MAJOR: &str = "1.";

/// A report as it is read.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        title = "Guru Meditation Report",
        description = "A report about a running process, as gmr writes it. See report-schema.md."
    )
)]
struct Document {
    /// The version of the schema: major and minor number.
    schema_version: String,
    /// Which report this is, and who asked for it.
    heading: Heading,
    /// What is wrong, or may be, the worst first. Absent before version 1.1.
    #[serde(default)]
    findings: Vec<Finding>,
    /// The sections, in the order in which they are shown.
    sections: Vec<Section>,
    /// The frames of all stacks. A stack holds their numbers, from 0.
    frames: Vec<Frame>,
    /// The figures of the last line.
    summary: Summary,
}

/// A report as it is written.
#[derive(Serialize)]
#[serde(rename = "Document")]
struct Written<'a> {
    schema_version: &'static str,
    heading: &'a Heading,
    findings: &'a [Finding],
    sections: &'a [Section],
    frames: &'a [Frame],
    summary: &'a Summary,
}

/// Checks that a document of this version can be read.
///
/// # Errors
/// It is another major version.
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
        Written { schema_version, heading, findings, sections, frames, summary }.serialize(serializer)
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
    /// A stack names a frame that the document does not have, or the document is of another major
    /// version.
    fn try_from(document: Document) -> Result<Self, String> {
        let Document { schema_version, heading, findings, sections, frames, summary } = document;
        check_version(&schema_version)?;
        for section in &sections {
            check_frames(&section.content, frames.len())?;
        }
        Ok(Self { heading, findings, sections, frames, summary })
    }
}

/// # Errors
/// A stack names a frame that the document does not have.
fn check_frames(content: &Content, count: usize) -> Result<(), String> {
    let exists = |number: &&u32| usize::try_from(**number).is_ok_and(|number| number < count);
    let check = |stack: &Stack| match stack.frames.iter().find(|number| !exists(number)) {
        Some(number) => Err(format!("a stack has frame {number}, but there are {count} frames")),
        None => Ok(()),
    };
    match content {
        Content::Threads(threads) => threads.threads.iter().try_for_each(|thread| check(&thread.stack)),
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
        | Content::Processes(_)
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
