//! Spans in Flight, as a tree, and Recent Events, as a log, without their notes.

use maud::{Markup, html};

use super::lists::{entries, rows, spent};
use crate::model::{Events, Spans};
use crate::views::room::{Room, not_shown};
use crate::views::words::{self, SpanLine};

pub(super) fn spans(section: &Spans, room: &Room) -> Markup {
    html! {
        p { "spans = " (words::open_spans(section)) }
        (rows(words::span_lines(section).into_iter(), "line", room, |line| spent(html! {
            div.process style={ "margin-left:" (line.depth() * 2) "em" } {
                @match line {
                    SpanLine::Span(span) => {
                        p { b { (words::span_title(span)) } }
                        @for fact in words::span_facts(span) { p { (fact) } }
                    }
                    SpanLine::Group(group) => { p.note { (words::span_group(group)) } }
                }
            }
        }, room)))
    }
}

pub(super) fn events(section: &Events, room: &Room) -> Markup {
    let lines = section
        .events
        .iter()
        .map(|event| html! { (words::event(event)) "\n    " (words::event_place(event)) "\n" });
    html! {
        p { "events = " (words::kept_events(section)) }
        @if !section.events.is_empty() { pre { "\n" (entries(lines, room, |line| spent(line, room), |left| html! { (not_shown(left, "event")) })) } }
    }
}
