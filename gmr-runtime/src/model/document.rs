//! The report as it is written down: in JSON, in XML, in a file. The same model, but every distinct frame stands once, and stacks name frames by number.
//!
//! A thousand threads have tens of thousands of frames, of which a few hundred are different. This is the contract with whoever reads reports: `docs/report-schema.md`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Content, Frame, Heading, Report, Section, Stack, Summary};

/// The version of the schema that is written: a major and a minor number. What a step of either may change is said in `docs/report-schema.md`.
pub const SCHEMA_VERSION: &str = "1.0";

/// What every version of this major number begins with.
const MAJOR: &str = "1.";

/// A report as it is written down.
///
/// [`Report`] serializes as this, and is deserialized from it.
///
/// ```
/// use gmr_runtime::model::{Document, SCHEMA_VERSION};
///
/// let document = Document::from(&gmr_runtime::Report::capture());
/// assert_eq!(document.schema_version, SCHEMA_VERSION);
/// assert!(!document.frames.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        title = "Guru Meditation Report",
        description = "A report about a running process, as gmr writes it. See report-schema.md."
    )
)]
#[non_exhaustive]
pub struct Document {
    /// The version of the schema: major and minor number.
    pub schema_version: Cow<'static, str>,
    /// Which report this is, and who asked for it.
    pub heading: Heading,
    /// The sections, in the order in which they are shown.
    pub sections: Vec<Section<FrameNumber>>,
    /// Every distinct frame of all stacks.
    pub frames: Vec<Arc<Frame>>,
    /// What the last line tells.
    pub summary: Summary,
}

/// The place of a frame in the document's list of frames, from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct FrameNumber(pub u32);

impl Document {
    /// # Errors
    /// It is another major version.
    pub(crate) fn check_version(version: &str) -> Result<(), String> {
        if version.starts_with(MAJOR) {
            return Ok(());
        }
        Err(format!("a report of schema {version}; this reads {MAJOR}x"))
    }
}

impl From<&Report> for Document {
    fn from(report: &Report) -> Self {
        let mut frames: Vec<Arc<Frame>> = Vec::new();
        let mut numbers: HashMap<*const Frame, FrameNumber> = HashMap::new();
        let mut number = |frame: &Arc<Frame>| -> Result<FrameNumber, Infallible> {
            Ok(*numbers.entry(Arc::as_ptr(frame)).or_insert_with(|| {
                frames.push(Arc::clone(frame));
                FrameNumber(u32::try_from(frames.len() - 1).unwrap_or(u32::MAX))
            }))
        };
        let sections = report.sections.iter().map(|section| section.map_frames(&mut number));
        let Ok(sections) = sections.collect();
        Self {
            schema_version: Cow::Borrowed(SCHEMA_VERSION),
            heading: report.heading.clone(),
            sections,
            frames,
            summary: report.summary.clone(),
        }
    }
}

impl TryFrom<Document> for Report {
    type Error = String;

    /// # Errors
    /// A stack names a frame that the document does not have, or the document is of another major version.
    fn try_from(document: Document) -> Result<Self, String> {
        let Document { schema_version, heading, mut sections, frames, summary } = document;
        sections.iter_mut().for_each(share_stacks);
        Document::check_version(&schema_version)?;
        let mut frame = |number: &FrameNumber| {
            let index = usize::try_from(number.0).unwrap_or(usize::MAX);
            frames
                .get(index)
                .cloned()
                .ok_or_else(|| format!("a stack has frame {}, of {}", number.0, frames.len()))
        };
        let sections =
            sections.iter().map(|section| section.map_frames(&mut frame)).collect::<Result<_, _>>()?;
        Ok(Self { heading, sections, summary })
    }
}

/// Tasks that wait at the same place share that place in memory, as they did when the report was made: views know them by it.
fn share_stacks(section: &mut Section<FrameNumber>) {
    let Content::GreenThreads(green_threads) = &mut section.content else { return };
    let mut known: HashSet<Arc<[Stack<FrameNumber>]>> = HashSet::new();
    for task in &mut green_threads.tasks {
        match known.get(&task.stacks) {
            Some(stacks) => task.stacks = Arc::clone(stacks),
            None => drop(known.insert(Arc::clone(&task.stacks))),
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Document::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}
