//! The sections Spans in Flight and Recent Events: what the program reports through `tracing`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Value, lists};

/// The open spans of `tracing`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Spans {
    /// Number of open spans.
    pub open: u64,
    /// Number of those that a thread is inside.
    pub entered: u64,
    /// The spans that are listed: each before its children, and oldest first otherwise.
    pub spans: Vec<Span>,
    /// The spans that are not listed, counted. Those of one parent are in order, each before its
    /// children.
    pub more: Vec<SpanGroup>,
    /// Remarks on the section as a whole, for example that spans are missing.
    pub notes: Vec<String>,
}

/// What is known of a span or an event from its place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Callsite {
    /// The name of the span. Of an event, a name that its macro sets, or else its place.
    pub name: String,
    /// The target: by default, the module.
    pub target: String,
    /// The level.
    pub level: Level,
    /// The source file.
    pub file: Option<String>,
    /// The line in that file.
    pub line: Option<u32>,
}

/// The level of a span or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Level {
    /// `ERROR`
    Error,
    /// `WARN`
    Warn,
    /// `INFO`
    Info,
    /// `DEBUG`
    Debug,
    /// `TRACE`
    Trace,
}

/// An open span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Span {
    /// Identifies the span in this process, also in other reports.
    pub id: u64,
    /// The id of the span that this one is a child of, if that is listed.
    pub parent: Option<u64>,
    /// How many listed spans contain it.
    pub depth: usize,
    /// What it is.
    pub callsite: Arc<Callsite>,
    /// Its fields, secrets masked.
    pub fields: Value,
    /// The OpenTelemetry trace that it belongs to, if a field of it or of a span around it has the
    /// id.
    pub trace_id: Option<String>,
    /// Time since it was opened, in milliseconds.
    pub age_ms: u64,
    /// How long threads were inside, in milliseconds, added up.
    pub busy_ms: u64,
    /// How long no thread was inside, in milliseconds. With several threads at a time, at least
    /// this.
    pub idle_ms: u64,
    /// The threads that are inside, up to four.
    pub threads: Vec<SpanThread>,
    /// How many more threads are inside, at most: one that has entered several times can be counted
    /// as often.
    pub other_threads: usize,
    /// Time since a thread last left it, in milliseconds. `None` if none has.
    pub left_ms: Option<u64>,
    /// The tracked task that the thread was polling then.
    pub left_by: Option<u64>,
    /// The span that it follows from, if that was open when it was said to.
    pub follows: Option<Arc<Callsite>>,
}

/// A thread that is inside a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SpanThread {
    /// Its id.
    pub tid: u32,
    /// Time since it entered the span, in milliseconds.
    pub inside_ms: u64,
    /// The tracked task that it was polling then.
    pub task: Option<u64>,
}

/// Spans of one callsite that are not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SpanGroup {
    /// The id of the listed span that contains them, if one does.
    pub within: Option<u64>,
    /// How many spans contain each, listed or not.
    pub depth: usize,
    /// What they are.
    pub callsite: Arc<Callsite>,
    /// Number of spans.
    pub count: u64,
    /// Number of those that a thread is inside.
    pub entered: u64,
    /// The age of the oldest one, in milliseconds.
    pub oldest_ms: u64,
    /// The age of the youngest one, in milliseconds.
    pub youngest_ms: u64,
}

/// The last events of `tracing`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Events {
    /// The events that are kept, oldest first.
    #[serde(deserialize_with = "lists::tight")]
    pub events: Vec<LogEvent>,
    /// Number of events at warn and above since the program started to record them.
    pub warnings: u64,
    /// Number of the other events.
    pub others: u64,
    /// Remarks on the section as a whole, for example that events are missing.
    pub notes: Vec<String>,
}

/// An event of `tracing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LogEvent {
    /// When it happened: RFC 3339, UTC.
    pub time: String,
    /// What it is. `None` if the program has more callsites than are told apart.
    pub callsite: Option<Arc<Callsite>>,
    /// The message, secrets masked.
    pub message: Option<String>,
    /// The other fields, secrets masked.
    pub fields: Value,
    /// The OpenTelemetry trace that it belongs to, if one of its fields or of its span's has the
    /// id.
    pub trace_id: Option<String>,
    /// The span that it was in.
    pub span: Option<EventSpan>,
    /// Id of the thread that it happened on.
    pub tid: u32,
    /// The tracked task that was being polled.
    pub task: Option<u64>,
}

/// The span that an event was in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EventSpan {
    /// Its id, as in Spans in Flight.
    pub id: u64,
    /// What it is.
    pub callsite: Arc<Callsite>,
    /// The fields that it had then, secrets masked.
    pub fields: Value,
}
