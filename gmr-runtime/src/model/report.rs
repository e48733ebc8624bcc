//! The report itself: heading, sections, summary.

use serde::{Deserialize, Serialize};

use super::{Finding, Frame, GreenThreads, Package, Processes, Stack, Threads, Value};

/// A complete report about this process.
///
/// It is plain data: displayed, it is text; serialized with `serde`, it is the document that
/// `docs/report-schema.md` describes, and it is deserialized from one.
///
/// A stack holds the numbers of its frames in [`frames`](Self::frames), so that a frame that a
/// thousand threads have in common is held once. [`stack_frames`](Self::stack_frames) looks them up:
///
/// ```
/// use gmr_runtime::model::Content;
///
/// let report = gmr_runtime::Report::capture();
/// if let Some(Content::Threads(threads)) = report.section("Threads").map(|section| &section.content) {
///     for thread in &threads.threads {
///         println!("{}", thread.name);
///         for frame in report.stack_frames(&thread.stack) {
///             println!("  {}", frame.function.as_deref().unwrap_or("?"));
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Which report this is, and who asked for it.
    pub heading: Heading,
    /// What is wrong, or may be, the worst first.
    pub findings: Vec<Finding>,
    /// The sections, in the order in which they are shown.
    pub sections: Vec<Section>,
    /// The frames of all stacks.
    pub frames: Vec<Frame>,
    /// The figures of the last line.
    pub summary: Summary,
}

impl Report {
    /// The first section with this title.
    pub fn section(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }

    /// The frames of a stack of this report, innermost first.
    pub fn stack_frames(&self, stack: &Stack) -> impl DoubleEndedIterator<Item = &Frame> {
        stack.frames.iter().filter_map(|&number| self.frames.get(usize::try_from(number).ok()?))
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Section {
    /// The title.
    pub title: String,
    /// How long its generator ran, in microseconds.
    pub took_us: u64,
    /// What its generator returned, or what became of it.
    pub content: Content,
}

/// What a generator returned, or what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// What program this is.
    Package(Box<Package>),
    /// Every thread of the process.
    Threads(Threads),
    /// The asynchronous tasks.
    GreenThreads(GreenThreads),
    /// This process and its children.
    Processes(Processes),
    /// The groups of the configuration.
    Configuration(Vec<Group>),
    /// What a registered section returned, as values.
    Fields(Value),
    /// What a registered section returned, as text.
    Text(String),
    /// The generator ran and had nothing to show.
    Nothing,
    /// The generator returned an error.
    Error(String),
    /// The generator panicked.
    Panicked(Panicked),
    /// The generator missed its deadline.
    TimedOut(TimedOut),
    /// The generator was not started, since its run for an earlier report has not ended yet.
    StillRunning(Overdue),
    /// The generator was not started.
    Skipped(String),
}

impl Content {
    /// Whether this is what the generator was asked for, rather than an account of its failure.
    pub(crate) fn is_ok(&self) -> bool {
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Group {
    /// The group's name.
    pub title: String,
    /// Its options, secrets masked, or what became of its generator.
    pub content: Content,
}

/// How a generator panicked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Panicked {
    /// The panic's message.
    pub message: String,
    /// Where it happened: `src/orders.rs:88:5`.
    pub location: Option<String>,
    /// The section's own frames, from where it panicked to its function.
    pub stack: Stack,
}

/// A generator that missed its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimedOut {
    /// The deadline it missed, in milliseconds.
    pub deadline_ms: u64,
    /// Where it is stuck.
    pub overdue: Overdue,
}

/// A generator that still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Overdue {
    /// The thread it runs on, which `Threads` shows as well.
    pub tid: u32,
    /// For how long it has run, in milliseconds.
    pub running_ms: u64,
    /// Where it was when this was found.
    pub stack: Stack,
}

/// The figures of a report's last line.
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
