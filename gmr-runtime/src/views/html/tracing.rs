//! Spans in Flight, as a tree, and Recent Events, as a log, without their notes.

use maud::html;

use super::out::{Out, PLACEHOLDER, Written};
use crate::model::{Events, LogEvent, Spans};
use crate::views::room::not_shown;
use crate::views::words::{self, SpanLine};

pub(super) fn spans(section: &Spans, out: &mut Out<'_>) -> Written {
    out.add(&html! { p { "spans = " (words::open_spans(section)) } })?;
    out.rows(words::span_lines(section).into_iter(), "line", |out, line| {
        let indent = line.depth() * 2;
        out.around(&html! { div.process style={ "margin-left:" (indent) "em" } { (PLACEHOLDER) } }, |out| {
            match line {
                SpanLine::Span(span) => {
                    out.text_in(&html! { p { b { (PLACEHOLDER) } } }, &words::span_title(span))?;
                    let fact = |fact: String| out.text_in(&html! { p { (PLACEHOLDER) } }, &fact);
                    words::span_facts(span).into_iter().try_for_each(fact)
                }
                SpanLine::Group(group) => {
                    out.text_in(&html! { p.note { (PLACEHOLDER) } }, &words::span_group(group))
                }
            }
        })
    })
}

pub(super) fn events(section: &Events, out: &mut Out<'_>) -> Written {
    out.add(&html! { p { "events = " (words::kept_events(section)) } })?;
    if section.events.is_empty() {
        return Ok(());
    }
    out.around(&html! { pre { "\n" (PLACEHOLDER) } }, |out| {
        let event = |out: &mut Out<'_>, event: &LogEvent| {
            out.text(&words::event(event))?;
            out.text("\n    ")?;
            out.text(&words::event_place(event))?;
            out.text("\n")
        };
        out.entries(section.events.iter(), event, |left| html! { (not_shown(left, "event")) })
    })
}
