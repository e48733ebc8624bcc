//! The serialized form of a report: the model, preceded by the version of its schema.
//!
//! `docs/report-schema.md` documents this form and promises what may change in it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Finding, Frame, Heading, Report, Section, Summary, checks, lists};

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
    #[serde(deserialize_with = "lists::tight")]
    sections: Vec<Section>,
    /// The frames of all stacks. A stack refers to them by index, from 0.
    #[serde(deserialize_with = "lists::tight")]
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
    /// The document has another major version, refers to a frame or a runtime that it does not have,
    /// or has an impossible depth.
    fn try_from(document: Document) -> Result<Self, String> {
        let Document { schema_version, heading, findings, sections, frames, summary } = document;
        check_version(&schema_version)?;
        let count = frames.len();
        checks::each(&sections, "sections", |section| {
            checks::content(&section.content, count).map_err(|misfit| misfit.within(&"content"))
        })
        .and_then(|()| checks::each(&findings, "findings", |finding| checks::finding(finding, count)))
        .map_err(|misfit| misfit.to_string())?;
        Ok(Self { heading, findings, sections, frames, summary })
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
