//! The report itself: heading, findings, sections and summary.

use serde::{Deserialize, Serialize};

use super::{
    Descriptors, Environment, Events, Finding, Frame, GreenThreads, Modules, Package, Processes, Resources,
    Spans, Stack, Threads, Value,
};

/// A complete report about a process.
///
/// A report is plain data. `Display` writes it as text. `Serialize` writes, and `Deserialize`
/// reads, the document that `docs/report-schema.md` describes.
///
/// All stacks share one list of frames, [`frames`](Self::frames), and refer to it by index: a frame
/// that a thousand threads have in common is stored once. [`stack_frames`](Self::stack_frames)
/// looks up the frames of a stack:
///
/// ```
/// use gmr_runtime::model::Content;
///
/// let report = gmr_runtime::Report::capture();
/// let content = report.section("Threads").map(|section| &section.content);
/// if let Some(Content::Threads(threads)) = content {
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
    /// The report's number, time, process and trigger.
    pub heading: Heading,
    /// Problems that were detected, the most severe first.
    pub findings: Vec<Finding>,
    /// The sections, in display order.
    pub sections: Vec<Section>,
    /// The frames of all stacks. A stack refers to them by index.
    pub frames: Vec<Frame>,
    /// Totals of the report.
    pub summary: Summary,
}

impl Report {
    /// The first section with this title, if there is one.
    pub fn section(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }

    /// The frames of a stack of this report, innermost first.
    ///
    /// An index that is out of range is skipped. It can only come from another report's stack.
    pub fn stack_frames(&self, stack: &Stack) -> impl DoubleEndedIterator<Item = &Frame> {
        stack.frames.iter().filter_map(|&index| self.frames.get(usize::try_from(index).ok()?))
    }
}

/// The report's number, time, process and trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Heading {
    /// The report's number within this process, from 1. 0 for a look of the command `gmr`.
    pub number: u64,
    /// When the report was started: RFC 3339, UTC.
    pub made_at: String,
    /// The id of this process.
    pub pid: u32,
    /// What requested the report.
    pub trigger: Trigger,
    /// Remarks on the report as a whole, for example that the previous one was truncated.
    pub notes: Vec<String>,
}

/// What requested a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// A signal to the process.
    #[non_exhaustive]
    Signal {
        /// The signal's name, as in `SIGUSR2`.
        name: String,
        /// The sender, if the signal came from a process.
        sender: Option<Sender>,
        /// Number of further signals that this report answers.
        coalesced: u64,
    },
    /// A call from the program: `Report::capture()`.
    Api,
    /// An HTTP request. Added in version 1.3.
    #[non_exhaustive]
    Http {
        /// The address that the request came from, as in `10.0.0.7:51234`, if the server passes it
        /// on.
        peer: Option<String>,
        /// The path that was requested.
        path: String,
        /// Number of further requests that this report answers.
        coalesced: u64,
    },
    /// A file that gmr watches was touched. Added in version 1.3.
    #[non_exhaustive]
    File {
        /// The path of the file.
        path: String,
        /// Number of further times that this report answers.
        coalesced: u64,
    },
    /// Nobody: gmr made the report by itself, because an option says so. Added in version 1.3.
    #[non_exhaustive]
    Automatic {
        /// The name of the option, as in `on_panic`. It is stable across releases.
        name: String,
        /// What has happened, as a phrase.
        cause: String,
        /// Number of further events of this option that this report answers.
        coalesced: u64,
    },
}

/// The process that sent a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Sender {
    /// The sender's process id. 0 if the sender is outside this process's PID namespace.
    pub pid: u32,
    /// The sender's real user id.
    pub uid: u32,
    /// The name of that user, from `/etc/passwd`.
    pub user: Option<String>,
    /// The name of the sending process, if it was still alive when the report was started.
    pub command: Option<String>,
}

/// One section of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Section {
    /// The title.
    pub title: String,
    /// How long the generator ran, in microseconds.
    pub took_us: u64,
    /// What the generator returned, or how it failed.
    pub content: Content,
}

/// What a generator returned, or how it failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// The program, and how it was built.
    Package(Box<Package>),
    /// What the process uses, and its limits. Added in version 1.3.
    Resources(Box<Resources>),
    /// The threads of the process.
    Threads(Threads),
    /// The async tasks.
    GreenThreads(GreenThreads),
    /// This process and its descendants.
    Processes(Processes),
    /// The open descriptors. Added in version 1.3.
    Descriptors(Box<Descriptors>),
    /// The executable and its libraries. Added in version 1.3.
    Modules(Modules),
    /// The environment variables. Added in version 1.3.
    Environment(Environment),
    /// The configuration groups.
    Configuration(Vec<Group>),
    /// The open spans of `tracing`.
    Spans(Spans),
    /// The last events of `tracing`.
    Events(Events),
    /// What a registered section returned, as structured values.
    Fields(Value),
    /// What a registered section returned, as text.
    Text(String),
    /// The generator ran and returned nothing to show.
    Nothing,
    /// The generator returned this error.
    Error(String),
    /// The generator panicked.
    Panicked(Panicked),
    /// The generator missed its deadline.
    TimedOut(TimedOut),
    /// The generator was skipped: it is still running from an earlier report.
    StillRunning(Overdue),
    /// The generator was skipped, for this reason.
    Skipped(String),
}

impl Content {
    /// Whether the generator succeeded.
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

/// One configuration group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Group {
    /// The group's title.
    pub title: String,
    /// The group's options, secrets masked, or how its generator failed.
    pub content: Content,
}

/// How a generator panicked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Panicked {
    /// The panic message.
    pub message: String,
    /// Where it panicked: file, line and column, as in `src/orders.rs:88:5`.
    pub location: Option<String>,
    /// The stack at the panic, up to the section's function.
    pub stack: Stack,
}

/// A generator that missed its deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimedOut {
    /// The deadline it missed, in milliseconds.
    pub deadline_ms: u64,
    /// The generator's thread, which still runs.
    pub overdue: Overdue,
}

/// A generator that is still running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Overdue {
    /// Id of the thread that it runs on. The Threads section shows that thread, too.
    pub tid: u32,
    /// How long it has been running, in milliseconds.
    pub running_ms: u64,
    /// The stack of that thread.
    pub stack: Stack,
}

/// Totals of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Summary {
    /// The report's number.
    pub number: u64,
    /// Number of sections.
    pub sections: usize,
    /// Number of sections that failed: `error`, `panicked`, `timed_out`, `still_running`,
    /// `skipped`.
    pub failed: usize,
    /// Number of threads.
    pub threads: usize,
    /// Time from the trigger's arrival at the reporter to the end of the report, in microseconds.
    pub took_us: u64,
}
