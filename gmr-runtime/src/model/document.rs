//! The report as it is written down: in JSON, in XML, in a file. The same model, but every distinct frame stands once, and stacks name frames by number.
//!
//! A thousand threads have tens of thousands of frames, of which a few hundred are different. This is the contract with whoever reads reports: `docs/report-schema.md`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Content, Frame, GreenThreads, Heading, Report, Section, Stack, Summary, Task, Thread, Threads};

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
        let numbers = Numbers::default();
        let sections = report.sections.iter().map(|section| {
            let Ok(section) = section.map_frames(&mut numbers.surely());
            section
        });
        Self {
            schema_version: Cow::Borrowed(SCHEMA_VERSION),
            heading: report.heading.clone(),
            sections: sections.collect(),
            frames: numbers.frames.take(),
            summary: report.summary.clone(),
        }
    }
}

/// The frames that have been met, each with its number.
#[derive(Default)]
struct Numbers {
    frames: RefCell<Vec<Arc<Frame>>>,
    numbers: RefCell<HashMap<*const Frame, FrameNumber>>,
}

impl Numbers {
    fn of(&self, frame: &Arc<Frame>) -> FrameNumber {
        *self.numbers.borrow_mut().entry(Arc::as_ptr(frame)).or_insert_with(|| {
            let mut frames = self.frames.borrow_mut();
            frames.push(Arc::clone(frame));
            FrameNumber(u32::try_from(frames.len() - 1).unwrap_or(u32::MAX))
        })
    }

    /// For `map_frames`, which may fail elsewhere.
    fn surely(&self) -> impl FnMut(&Arc<Frame>) -> Result<FrameNumber, Infallible> {
        |frame| Ok(self.of(frame))
    }
}

impl TryFrom<Document> for Report {
    type Error = String;

    /// # Errors
    /// A stack names a frame that the document does not have, or the document is of another major version.
    fn try_from(document: Document) -> Result<Self, String> {
        let Document { schema_version, heading, mut sections, frames, summary } = document;
        Document::check_version(&schema_version)?;
        sections.iter_mut().for_each(share_stacks);
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

/// What a [`Document`] would serialize as, without there being one: of the long lists, one thread or task at a time is put into its written form.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let numbers = Numbers::default();
        let mut document = serializer.serialize_struct("Document", 5)?;
        document.serialize_field("schema_version", SCHEMA_VERSION)?;
        document.serialize_field("heading", &self.heading)?;
        document.serialize_field("sections", &List(&self.sections, |section| Numbered(section, &numbers)))?;
        document.serialize_field("frames", &*numbers.frames.borrow())?;
        document.serialize_field("summary", &self.summary)?;
        document.end()
    }
}

/// A part of a report whose frames are numbered as they are met.
struct Numbered<'a, T>(&'a T, &'a Numbers);

impl Serialize for Numbered<'_, Section> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Numbered(section, numbers) = *self;
        let mut fields = serializer.serialize_struct("Section", 3)?;
        fields.serialize_field("title", &section.title)?;
        fields.serialize_field("took_us", &section.took_us)?;
        fields.serialize_field("content", &Numbered(&section.content, numbers))?;
        fields.end()
    }
}

impl Serialize for Numbered<'_, Content> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Numbered(content, numbers) = *self;
        match content {
            Content::Threads(threads) => tagged(serializer, "threads", &Numbered(threads, numbers)),
            Content::GreenThreads(section) => {
                tagged(serializer, "green_threads", &Numbered(section, numbers))
            }
            short => {
                let Ok(short) = short.map_frames(&mut numbers.surely());
                short.serialize(serializer)
            }
        }
    }
}

/// As [`Content`] itself is serialized.
fn tagged<S: Serializer>(serializer: S, kind: &str, data: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Content", 2)?;
    fields.serialize_field("kind", kind)?;
    fields.serialize_field("data", data)?;
    fields.end()
}

impl Serialize for Numbered<'_, Threads> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Numbered(Threads { threads, notes }, numbers) = *self;
        let written = |thread: &Thread| -> Thread<FrameNumber> {
            let Ok(thread) = thread.map_frames(&mut numbers.surely());
            thread
        };
        let mut fields = serializer.serialize_struct("Threads", 2)?;
        fields.serialize_field("threads", &List(threads, written))?;
        fields.serialize_field("notes", notes)?;
        fields.end()
    }
}

impl Serialize for Numbered<'_, GreenThreads> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Numbered(GreenThreads { tasks, runtimes, notes }, numbers) = *self;
        let written = |task: &Task| -> Task<FrameNumber> {
            let Ok(task) = task.map_frames(&mut numbers.surely());
            task
        };
        let mut fields = serializer.serialize_struct("GreenThreads", 3)?;
        fields.serialize_field("tasks", &List(tasks, written))?;
        fields.serialize_field("runtimes", runtimes)?;
        fields.serialize_field("notes", notes)?;
        fields.end()
    }
}

/// A list whose items are put into another form one at a time.
struct List<'a, T, F>(&'a [T], F);

impl<'a, T, U: Serialize, F: Fn(&'a T) -> U> Serialize for List<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}
