//! The wording of spans and events.

use std::fmt::Write as _;

use super::depth;
use super::values::scalar;
use crate::model::{Callsite, EventSpan, Events, Level, LogEvent, Span, SpanGroup, SpanThread, Spans, Value};
use crate::sys::hash::HashMap;
use crate::units::{duration, uptime};
use crate::views::escape::clean;
use crate::views::path::short_path;

/// Times of at least this length are shown in hours and minutes.
const LONG_MS: u64 = 600_000;

/// A line of the tree of spans.
#[derive(Debug, Clone, Copy)]
pub(in crate::views) enum SpanLine<'a> {
    Span(&'a Span),
    Group(&'a SpanGroup),
}

impl SpanLine<'_> {
    /// How far it is indented below the first ones.
    pub(in crate::views) fn depth(&self) -> usize {
        depth(match self {
            Self::Span(span) => span.depth,
            Self::Group(group) => group.depth,
        })
    }
}

/// The spans and groups in the order in which they are shown: the groups within a span follow the
/// spans in it.
pub(in crate::views) fn span_lines(section: &Spans) -> Vec<SpanLine<'_>> {
    let mut groups: HashMap<Option<u64>, Vec<&SpanGroup>> = HashMap::default();
    for group in &section.more {
        groups.entry(group.within).or_default().push(group);
    }
    let mut lines = Vec::with_capacity(section.spans.len() + section.more.len());
    let mut around: Vec<&Span> = Vec::new();
    let mut within = |span: Option<&Span>| groups.remove(&span.map(|span| span.id)).unwrap_or_default();
    for span in &section.spans {
        while let Some(outer) = around.pop_if(|outer| outer.depth >= span.depth) {
            lines.extend(within(Some(outer)).into_iter().map(SpanLine::Group));
        }
        lines.push(SpanLine::Span(span));
        around.push(span);
    }
    while let Some(outer) = around.pop() {
        lines.extend(within(Some(outer)).into_iter().map(SpanLine::Group));
    }
    lines.extend(within(None).into_iter().map(SpanLine::Group));
    lines
}

/// `5 open, 1 with a thread inside`
pub(in crate::views) fn open_spans(section: &Spans) -> String {
    match (section.open, section.entered) {
        (0, _) => "none open".to_owned(),
        (open, 0) => format!("{open} open, no thread inside"),
        (open, entered) => format!("{open} open, {entered} with a thread inside"),
    }
}

/// `request{method=GET uri=/orders/42}`
pub(in crate::views) fn span_title(span: &Span) -> String {
    named(&span.callsite, &span.fields)
}

fn named(callsite: &Callsite, fields: &Value) -> String {
    let fields = pairs(fields);
    let name = clean(&callsite.name);
    if fields.is_empty() { name.into_owned() } else { format!("{name}{{{fields}}}") }
}

/// `method=GET uri=/orders/42`
fn pairs(fields: &Value) -> String {
    let Value::Map(entries) = fields else { return scalar(fields).into_owned() };
    let mut text = String::new();
    for (key, value) in entries {
        let blank = if text.is_empty() { "" } else { " " };
        let value = scalar(value);
        let quote = if value.contains(char::is_whitespace) { "'" } else { "" };
        let _ = write!(text, "{blank}{}={quote}{value}{quote}", clean(key));
    }
    text
}

/// How old a span is, who is inside, and where it is in the source.
pub(in crate::views) fn span_facts(span: &Span) -> Vec<String> {
    let mut line = format!("open for {}", time(span.age_ms));
    let inside = inside(span);
    if inside.is_none() && span.left_ms.is_none() {
        line.push_str(", never entered");
    } else {
        let _ = write!(line, ", busy for {}", time(span.busy_ms));
        if span.busy_ms > span.age_ms {
            line.push_str(" in several threads");
        }
    }
    match (&inside, span.left_ms) {
        (Some(inside), _) => {
            let _ = write!(line, ", inside now: {inside}");
        }
        (None, Some(left)) => {
            let by = span.left_by.map(|task| format!(", last in task #{task}")).unwrap_or_default();
            let _ = write!(line, ", idle for the last {}{by}", time(left));
        }
        (None, None) => {}
    }
    if let Some(follows) = &span.follows {
        let _ = write!(line, ", follows from {}", clean(&follows.name));
    }
    let mut lines = vec![line, place(&span.callsite)];
    lines.extend(span.trace_id.as_ref().map(|id| format!("trace {}", clean(id))));
    lines
}

/// The threads inside a span: `thread #12 for 3.0 s (task #5), thread #13 for 20 ms`. `None` if
/// there is none.
fn inside(span: &Span) -> Option<String> {
    let mut parts: Vec<String> = span
        .threads
        .iter()
        .map(|SpanThread { tid, inside_ms, task }| {
            let task = task.map(|task| format!(" (task #{task})")).unwrap_or_default();
            format!("thread #{tid} for {}{task}", time(*inside_ms))
        })
        .collect();
    match (span.other_threads, parts.is_empty()) {
        (0, true) => return None,
        (0, false) => {}
        (1, true) => parts.push("a thread".to_owned()),
        (others, true) => parts.push(format!("up to {others} threads")),
        (others, false) => parts.push(format!("up to {others} more")),
    }
    Some(parts.join(", "))
}

/// `9992 more request spans: open for 1.2 s to 12.0 s, 3 with a thread inside`
pub(in crate::views) fn span_group(group: &SpanGroup) -> String {
    let (oldest, youngest) = (time(group.oldest_ms), time(group.youngest_ms));
    let ages = if oldest == youngest { oldest } else { format!("{youngest} to {oldest}") };
    let inside = match group.entered {
        0 => String::new(),
        entered => format!(", {entered} with a thread inside"),
    };
    let spans = if group.count == 1 { "span" } else { "spans" };
    format!("{} more {} {spans}: open for {ages}{inside}", group.count, clean(&group.callsite.name))
}

/// `INFO orders::api at src/api.rs:31`
fn place(callsite: &Callsite) -> String {
    let mut text = format!("{} {}", level(callsite.level), clean(&callsite.target));
    if let Some(file) = &callsite.file {
        let _ = write!(text, " at {}", short_path(file));
        if let Some(line) = callsite.line {
            let _ = write!(text, ":{line}");
        }
    }
    text
}

/// A level, as it is usually written.
pub(in crate::views) fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

/// `3 of 3 at warn and above, 128 of 90311 below, oldest first`
pub(in crate::views) fn kept_events(section: &Events) -> String {
    let is_warning = |event: &&LogEvent| {
        event.callsite.as_ref().is_some_and(|callsite| matches!(callsite.level, Level::Error | Level::Warn))
    };
    let warnings = section.events.iter().filter(is_warning).count();
    let others = section.events.len() - warnings;
    format!(
        "{warnings} of {} at warn and above, {others} of {} below, oldest first",
        section.warnings, section.others
    )
}

/// An event on one line, as a log shows it.
pub(in crate::views) fn event(event: &LogEvent) -> String {
    let mut text = clean(&event.time).into_owned();
    if let Some(callsite) = &event.callsite {
        let _ = write!(text, " {:>5} {}:", level(callsite.level), clean(&callsite.target));
    }
    if let Some(message) = &event.message {
        let _ = write!(text, " {}", clean(message));
    }
    let fields = pairs(&event.fields);
    if !fields.is_empty() {
        let _ = write!(text, " {fields}");
    }
    text
}

/// Where an event happened: its span, thread, task and trace.
pub(in crate::views) fn event_place(event: &LogEvent) -> String {
    let span = event
        .span
        .as_ref()
        .map(|EventSpan { callsite, fields, .. }| format!("in {}", named(callsite, fields)));
    let task = event.task.map(|task| format!("task #{task}"));
    let trace = event.trace_id.as_ref().map(|id| format!("trace {}", clean(id)));
    let parts = [span, Some(format!("thread #{}", event.tid)), task, trace];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn time(ms: u64) -> String {
    if ms < LONG_MS { duration(ms) } else { uptime(ms) }
}
