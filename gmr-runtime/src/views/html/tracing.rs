//! Spans in Flight, as a tree, and Recent Events, as a log, without their notes.

use maud::{Markup, html};

use crate::model::{Events, Spans};
use crate::views::words::{self, SpanLine};

pub(super) fn spans(section: &Spans) -> Markup {
    html! {
        p { "spans = " (words::open_spans(section)) }
        @for line in words::span_lines(section) {
            div.process style={ "margin-left:" (line.depth() * 2) "em" } {
                @match line {
                    SpanLine::Span(span) => {
                        p { b { (words::span_title(span)) } }
                        @for fact in words::span_facts(span) { p { (fact) } }
                    }
                    SpanLine::Group(group) => { p.note { (words::span_group(group)) } }
                }
            }
        }
    }
}

pub(super) fn events(section: &Events) -> Markup {
    let lines = section
        .events
        .iter()
        .map(|event| format!("{}\n    {}\n", words::event(event), words::event_place(event)));
    html! {
        p { "events = " (words::kept_events(section)) }
        @if !section.events.is_empty() { pre { "\n" (lines.collect::<String>()) } }
    }
}
