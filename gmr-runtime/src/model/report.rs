//! The report itself: heading, sections, summary.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Frame, GreenThreads, Package, Processes, Stack, Threads, Value};

/// A complete report about this process.
///
/// It is plain data: displayed, it is text; serialized with `serde`, it is a [`Document`](super::Document), and read back from one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Which report this is, and who asked for it.
    pub heading: Heading,
    /// The sections, in the order in which they are shown.
    pub sections: Vec<Section>,
    /// What the last line tells.
    pub summary: Summary,
}

impl Report {
    /// The first section with this title.
    pub fn section(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }
}

/// Which report this is, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Heading {
    /// The report's number, from 1, within this process.
    pub number: u64,
    /// When the report was begun.
    pub made_at: String,
    /// The id of this process.
    pub pid: u32,
    /// What asked for the report.
    pub trigger: Trigger,
    /// What the reader has to know about the report as a whole: that the one before was cut short, for example.
    pub notes: Vec<String>,
}

/// What asked for a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// A signal.
    Signal {
        /// The signal's name: `SIGUSR2`.
        name: String,
        /// Who sent it, where the kernel told.
        sender: Option<Sender>,
        /// How many more of these signals were answered by this same report.
        coalesced: u64,
    },
    /// A call of the program's own: `Report::capture()`.
    Api,
}

/// Who sent a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Sender {
    /// The sender's process id; 0 where it is outside this process's namespace.
    pub pid: u32,
    /// The sender's real user id.
    pub uid: u32,
    /// The name of that user, where `/etc/passwd` has it.
    pub user: Option<String>,
    /// The name of the sending program, if it was still alive when the report began.
    pub command: Option<String>,
}

/// One section of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Section"))]
#[non_exhaustive]
pub struct Section<F = Arc<Frame>> {
    /// The title.
    pub title: String,
    /// How long its generator ran, in microseconds.
    pub took_us: u64,
    /// What its generator returned, or what became of it.
    pub content: Content<F>,
}

/// What a generator returned, or what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Content"))]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content<F = Arc<Frame>> {
    /// What program this is.
    Package(Box<Package>),
    /// Every thread of the process.
    Threads(Threads<F>),
    /// The asynchronous tasks.
    GreenThreads(GreenThreads<F>),
    /// This process and its children.
    Processes(Processes),
    /// The groups of the configuration.
    Configuration(Vec<Group<F>>),
    /// What a registered section returned, as values.
    Fields(Value),
    /// What a registered section returned, as text.
    Text(String),
    /// The generator ran and had nothing to show.
    Nothing,
    /// The generator returned an error.
    Error(String),
    /// The generator panicked.
    Panicked(Panicked<F>),
    /// The generator missed its deadline.
    TimedOut(TimedOut<F>),
    /// The generator was not started, since its run for an earlier report has not ended yet.
    StillRunning(Overdue<F>),
    /// The generator was not started.
    Skipped(String),
}

impl<F> Content<F> {
    /// Whether this is what the generator was asked for, rather than an account of its failure.
    pub fn is_whole(&self) -> bool {
        !matches!(
            self,
            Content::Error(_)
                | Content::Panicked(_)
                | Content::TimedOut(_)
                | Content::StillRunning(_)
                | Content::Skipped(_)
        )
    }
}

/// One group of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Group"))]
#[non_exhaustive]
pub struct Group<F = Arc<Frame>> {
    /// The group's name.
    pub title: String,
    /// Its options, secrets masked, or what became of its generator.
    pub content: Content<F>,
}

impl<F> Group<F> {
    /// A group of this name.
    pub fn new(title: impl Into<String>, content: Content<F>) -> Self {
        Self { title: title.into(), content }
    }
}

/// How a generator panicked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Panicked"))]
#[non_exhaustive]
pub struct Panicked<F = Arc<Frame>> {
    /// The panic's message.
    pub message: String,
    /// Where it happened: `src/orders.rs:88:5`.
    pub location: Option<String>,
    /// The section's own frames, from where it panicked to its function.
    pub stack: Stack<F>,
}

/// A generator that missed its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "TimedOut"))]
#[non_exhaustive]
pub struct TimedOut<F = Arc<Frame>> {
    /// The deadline it missed, in milliseconds.
    pub deadline_ms: u64,
    /// Where it is stuck.
    pub overdue: Overdue<F>,
}

/// A generator that still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Overdue"))]
#[non_exhaustive]
pub struct Overdue<F = Arc<Frame>> {
    /// The thread it runs on, which `Threads` shows as well.
    pub tid: u32,
    /// For how long it has run, in milliseconds.
    pub running_ms: u64,
    /// Where it was when this was found.
    pub stack: Stack<F>,
}

/// What the last line of a report tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Summary {
    /// The report's number.
    pub number: u64,
    /// How many sections it has.
    pub sections: usize,
    /// How many of them could not be had as asked.
    pub failed: usize,
    /// How many threads it shows.
    pub threads: usize,
    /// How long it took, from the trigger's arrival at the reporter, in microseconds.
    pub took_us: u64,
}

impl<F> Section<F> {
    pub(super) fn map_frames<G, E>(&self, map: &mut impl FnMut(&F) -> Result<G, E>) -> Result<Section<G>, E> {
        let content = self.content.map_frames(map)?;
        Ok(Section { title: self.title.clone(), took_us: self.took_us, content })
    }
}

impl<F> Content<F> {
    pub(super) fn map_frames<G, E>(&self, map: &mut impl FnMut(&F) -> Result<G, E>) -> Result<Content<G>, E> {
        Ok(match self {
            Content::Package(value) => Content::Package(value.clone()),
            Content::Threads(value) => Content::Threads(value.map_frames(map)?),
            Content::GreenThreads(value) => Content::GreenThreads(value.map_frames(map)?),
            Content::Processes(value) => Content::Processes(value.clone()),
            Content::Configuration(groups) => Content::Configuration(
                groups.iter().map(|group| group.map_frames(map)).collect::<Result<_, E>>()?,
            ),
            Content::Fields(value) => Content::Fields(value.clone()),
            Content::Text(text) => Content::Text(text.clone()),
            Content::Nothing => Content::Nothing,
            Content::Error(message) => Content::Error(message.clone()),
            Content::Panicked(value) => Content::Panicked(value.map_frames(map)?),
            Content::TimedOut(value) => Content::TimedOut(TimedOut {
                deadline_ms: value.deadline_ms,
                overdue: value.overdue.map_frames(map)?,
            }),
            Content::StillRunning(value) => Content::StillRunning(value.map_frames(map)?),
            Content::Skipped(reason) => Content::Skipped(reason.clone()),
        })
    }
}

impl<F> Group<F> {
    fn map_frames<G, E>(&self, map: &mut impl FnMut(&F) -> Result<G, E>) -> Result<Group<G>, E> {
        Ok(Group { title: self.title.clone(), content: self.content.map_frames(map)? })
    }
}

impl<F> Panicked<F> {
    fn map_frames<G, E>(&self, map: &mut impl FnMut(&F) -> Result<G, E>) -> Result<Panicked<G>, E> {
        let stack = self.stack.map_frames(map)?;
        Ok(Panicked { message: self.message.clone(), location: self.location.clone(), stack })
    }
}

impl<F> Overdue<F> {
    fn map_frames<G, E>(&self, map: &mut impl FnMut(&F) -> Result<G, E>) -> Result<Overdue<G>, E> {
        Ok(Overdue { tid: self.tid, running_ms: self.running_ms, stack: self.stack.map_frames(map)? })
    }
}
