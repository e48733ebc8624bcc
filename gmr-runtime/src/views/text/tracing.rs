//! Spans in Flight, as a tree, and Recent Events, as a log.

use std::fmt::Write as _;

use super::layout::Flush;
use super::values::indent;
use crate::model::{Events, Spans};
use crate::views::Context;
use crate::views::room::not_shown;
use crate::views::words::{self, SpanLine};

pub(super) fn spans(text: &mut String, section: &Spans, cx: Context<'_>, flush: &mut Flush<'_>) {
    for note in words::notes(&section.notes) {
        let _ = writeln!(text, "note = {note}");
    }
    let _ = writeln!(text, "spans = {}", words::open_spans(section));
    let lines = words::span_lines(section);
    for (index, line) in lines.iter().enumerate() {
        if !cx.room.take_row() {
            let _ = writeln!(text, "{}", not_shown(lines.len() - index, "line"));
            break;
        }
        let before = text.len();
        let depth = line.depth();
        if depth == 0 {
            text.push('\n');
        }
        indent(text, depth);
        match *line {
            SpanLine::Span(span) => {
                let _ = writeln!(text, "{}", words::span_title(span));
                for fact in words::span_facts(span) {
                    indent(text, depth + 2);
                    let _ = writeln!(text, "{fact}");
                }
            }
            SpanLine::Group(group) => {
                let _ = writeln!(text, "{}", words::span_group(group));
            }
        }
        cx.room.spend(text.len() - before);
        flush(text);
    }
}

pub(super) fn events(text: &mut String, section: &Events, cx: Context<'_>, flush: &mut Flush<'_>) {
    for note in words::notes(&section.notes) {
        let _ = writeln!(text, "note = {note}");
    }
    let _ = writeln!(text, "events = {}", words::kept_events(section));
    if !section.events.is_empty() {
        text.push('\n');
    }
    for (index, event) in section.events.iter().enumerate() {
        if !cx.room.take_row() {
            let _ = writeln!(text, "{}", not_shown(section.events.len() - index, "event"));
            break;
        }
        let before = text.len();
        let _ = writeln!(text, "{}", words::event(event));
        indent(text, 2);
        let _ = writeln!(text, "{}", words::event_place(event));
        cx.room.spend(text.len() - before);
        flush(text);
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Callsite, EventSpan, Level, LogEvent, Span, SpanGroup, SpanThread, Value};
    use crate::views::Detail;
    use crate::views::room::{MAX_TEXT, Room};

    fn cx(room: &Room) -> Context<'_> {
        Context { frames: &[], detail: Detail::Short, room }
    }

    fn callsite(name: &str) -> Arc<Callsite> {
        let (name, target) = (name.to_owned(), "orders::api".to_owned());
        Arc::new(Callsite {
            name,
            target,
            level: Level::Info,
            file: Some("src/api.rs".into()),
            line: Some(31),
        })
    }

    fn span(id: u64, depth: usize, name: &str) -> Span {
        Span {
            id,
            parent: None,
            depth,
            callsite: callsite(name),
            fields: Value::Map(Vec::new()),
            trace_id: None,
            age_ms: 12_400,
            busy_ms: 3,
            idle_ms: 12_397,
            threads: Vec::new(),
            other_threads: 0,
            left_ms: None,
            left_by: None,
            follows: None,
        }
    }

    fn request() -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        Value::Map(vec![
            ("method".into(), text("GET")),
            ("uri".into(), text("/orders/42")),
            ("agent".into(), text("a b\n")),
        ])
    }

    #[test]
    fn open_spans_are_a_tree() {
        let idle = Span {
            fields: request(),
            left_ms: Some(12_300),
            left_by: Some(12),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            ..span(1, 0, "request")
        };
        let inside = Span {
            busy_ms: 13_000,
            threads: vec![
                SpanThread { tid: 4711, inside_ms: 12, task: Some(12) },
                SpanThread { tid: 4712, inside_ms: 12_000, task: None },
            ],
            other_threads: 1,
            left_ms: Some(5),
            left_by: Some(13),
            follows: Some(callsite("enqueue")),
            ..span(2, 1, "load")
        };
        let group = |within, depth, count, entered, youngest_ms| SpanGroup {
            within,
            depth,
            callsite: callsite("query"),
            count,
            entered,
            oldest_ms: 7_000_000,
            youngest_ms,
        };
        let section = Spans {
            open: 10_012,
            entered: 4,
            spans: vec![idle, inside, span(3, 0, "cron")],
            more: vec![group(Some(1), 1, 1, 0, 7_000_000), group(None, 0, 10_000, 3, 20)],
            notes: vec!["a span is missing".into()],
        };
        let (mut text, room) = (String::new(), Room::new(MAX_TEXT));
        spans(&mut text, &section, cx(&room), &mut |_| ());
        let expected = "\
note = a span is missing
spans = 10012 open, 4 with a thread inside

request{method=GET uri=/orders/42 agent='a b\\n'}
    open for 12.4 s, busy for 3 ms, idle for the last 12.3 s, last in task #12
    INFO orders::api at src/api.rs:31
    trace 4bf92f3577b34da6a3ce929d0e0e4736
  load
      open for 12.4 s, busy for 13.0 s in several threads, \
      inside now: thread #4711 for 12 ms (task #12), thread #4712 for 12.0 s, up to 1 more, follows from enqueue
      INFO orders::api at src/api.rs:31
  1 more query span: open for 1 h 56 min 40 s

cron
    open for 12.4 s, never entered
    INFO orders::api at src/api.rs:31

10000 more query spans: open for 20 ms to 1 h 56 min 40 s, 3 with a thread inside
";
        assert_eq!(text, expected);
    }

    #[test]
    fn without_spans_one_line_says_so() {
        let (mut text, room) = (String::new(), Room::new(MAX_TEXT));
        spans(&mut text, &Spans::default(), cx(&room), &mut |_| ());
        assert_eq!(text, "spans = none open\n");
    }

    #[test]
    fn events_are_a_log() {
        let span = EventSpan { id: 1, callsite: callsite("request"), fields: request() };
        let event = LogEvent {
            time: "2026-01-02T03:04:05.678Z".into(),
            callsite: Some(callsite("event src/api.rs:31")),
            message: Some("stock is low\n====".into()),
            fields: Value::Map(vec![("sku".into(), Value::Unsigned(17))]),
            trace_id: None,
            span: Some(span),
            tid: 4711,
            task: Some(12),
        };
        let section = Events { events: vec![event], warnings: 0, others: 90_311, notes: Vec::new() };
        let (mut text, room) = (String::new(), Room::new(MAX_TEXT));
        events(&mut text, &section, cx(&room), &mut |_| ());
        let expected = "\
events = 0 of 0 at warn and above, 1 of 90311 below, oldest first

2026-01-02T03:04:05.678Z  INFO orders::api: stock is low\\n==== sku=17
    in request{method=GET uri=/orders/42 agent='a b\\n'}, thread #4711, task #12
";
        assert_eq!(text, expected);
    }
}
