//! Stacks, as a list of frames: with full paths and source lines, or one line for each frame.

use maud::{Markup, html};

use super::anchors::Links;
use super::breaks::breakable;
use super::out::{Out, PLACEHOLDER, Written};
use super::related::Related;
use crate::model::Stack;
use crate::units::counted;
use crate::views::escape::clean;
use crate::views::folding::Part;
use crate::views::grouping::Shown;
use crate::views::room::of_line;
use crate::views::{Context, grouping, words};

/// Number of groups whose frames are shown with full paths and source lines. For a thousand
/// distinct stacks, these would take megabytes.
pub(super) const VERBOSE_GROUPS: usize = 50;

/// Number of groups whose stacks are shown whole. Of the others, the frames at both ends are shown:
/// so a page has room for thousands of them.
const WHOLE_GROUPS: usize = 100;
const INNER: usize = 5;
const OUTER: usize = 1;

/// How frames are shown.
#[derive(Clone, Copy)]
pub(super) struct Style<'a> {
    pub(super) cx: Context<'a>,
    pub(super) links: &'a Links,
    pub(super) related: &'a Related<'a>,
    /// With full paths and source lines.
    pub(super) verbose: bool,
    /// Without the frames in the middle of a deep stack.
    pub(super) brief: bool,
}

impl Style<'_> {
    /// The style of the group at this index.
    pub(super) fn at(self, index: usize) -> Self {
        Self { verbose: index < VERBOSE_GROUPS, brief: index >= WHOLE_GROUPS, ..self }
    }
}

pub(super) fn stack(stack: &Stack, style: Style<'_>, out: &mut Out<'_>) -> Written {
    frames_and_end(&grouping::shown(stack, style.cx), stack, style, out)
}

/// What is shown of a stack, then why it is incomplete.
pub(super) fn frames_and_end(
    shown: &Shown<'_>,
    stack: &Stack,
    style: Style<'_>,
    out: &mut Out<'_>,
) -> Written {
    frames(shown, style, out)?;
    let Some(reason) = &stack.incomplete else { return Ok(()) };
    let what = if stack.frames.is_empty() { "no stack: " } else { "incomplete: " };
    out.text_in(&html! { p.note { (what) (PLACEHOLDER) } }, &clean(reason))
}

pub(super) fn frames(shown: &Shown<'_>, style: Style<'_>, out: &mut Out<'_>) -> Written {
    if shown.parts().is_empty() {
        return Ok(());
    }
    let (inner, between, outer) = if style.brief { shown.ends_within(INNER, OUTER) } else { shown.ends() };
    let more = (between > 0).then(|| format!("... {} ...", counted(between, "more frame")));
    if !style.verbose {
        return out.around(&html! { pre.stack { "\n" (PLACEHOLDER) } }, |out| {
            compact(inner, style, out)?;
            if let Some(more) = more {
                out.add(&html! { (more) "\n" })?;
            }
            compact(outer, style, out)
        });
    }
    out.around(&html! { ol.stack { (PLACEHOLDER) } }, |out| {
        inner.iter().try_for_each(|one| out.add(&part(one, style)))?;
        if let Some(more) = more {
            out.add(&html! { li.note { (more) } })?;
        }
        outer.iter().try_for_each(|one| out.add(&part(one, style)))
    })
}

/// One line for each frame. Those of libraries in a row are one element.
fn compact(parts: &[Part<'_>], style: Style<'_>, out: &mut Out<'_>) -> Written {
    for run in parts.chunk_by(|a, b| is_librarys(a) == is_librarys(b)) {
        let lines = |out: &mut Out<'_>| run.iter().try_for_each(|part| out.text(&line(part, style)));
        if is_librarys(&run[0]) {
            out.around(&html! { i.lib { (PLACEHOLDER) } }, lines)?;
        } else {
            lines(out)?;
        }
    }
    Ok(())
}

/// Whether a frame is not the program's, nor how many are omitted.
fn is_librarys(part: &Part<'_>) -> bool {
    part.frame().is_some_and(|frame| !frame.is_own())
}

/// A frame on a line: its function and file name.
fn line(part: &Part<'_>, style: Style<'_>) -> String {
    let Some((frame, function)) = part.frame().zip(name(part, style)) else { return omitted(part) + "\n" };
    let file = frame.file.as_deref().map(|file| of_line(file.rsplit('/').next().unwrap_or(file)));
    let place = file.zip(frame.line).map(|(file, line)| format!(" {file}:{line}")).unwrap_or_default();
    format!("{function}{place}{}\n", repeated(part))
}

fn part(part: &Part<'_>, style: Style<'_>) -> Markup {
    let Some((frame, function)) = part.frame().zip(name(part, style)) else {
        return html! { li.note { (omitted(part)) } };
    };
    html! {
        li.lib[is_librarys(part)] {
            b { (function) }
            @if words::is_inlined(frame, style.cx.detail) { " (inlined)" }
            @if let Some(path) = frame.path() {
                " " i { (breakable(path)) @if let Some(line) = frame.line { span.number { ":" (line) } } }
            }
            (repeated(part))
            @if let Some(source) = &frame.source { code { (of_line(source)) } }
        }
    }
}

/// ` (×184)` for a recursion.
fn repeated(part: &Part<'_>) -> String {
    match part {
        Part::Repeated(_, times) => format!(" (×{times})"),
        _ => String::new(),
    }
}

/// The function of a frame; none of what is omitted.
pub(super) fn name(part: &Part<'_>, style: Style<'_>) -> Option<String> {
    match part {
        Part::Frame(frame) | Part::Repeated(frame, _) => Some(words::function(frame, style.cx.detail)),
        Part::OwnBody(frame) => Some(words::own_function(frame)),
        Part::Omitted(_) => None,
    }
}

fn omitted(part: &Part<'_>) -> String {
    match part {
        Part::Omitted(omitted) => format!("({})", words::omitted(omitted)),
        _ => String::new(),
    }
}
