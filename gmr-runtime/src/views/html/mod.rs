//! The HTML view: one page, all in one file, that a person reads in a browser. Without JavaScript it can be read; with it, filtered, folded and zoomed.
//!
//! Everything from data is escaped by the template library; what would be invisible or turn the direction of writing is made visible before, as in the text view. The only markup that is not escaped is the
//! page's own style and script, and the drawing that inferno makes of escaped names.

mod anchors;
mod flame;

use std::borrow::Borrow;
use std::io;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::escape::{clean, clean_lines};
use super::grouping::{self, Places};
use super::words::{self, Field};
use super::{Context, Detail};
use crate::model::{
    Content, Finding, Frame, GreenThreads, Group, Overdue, Package, Processes, Report, Role, Section, Stack,
    Task, Thread, Threads, Value,
};
use crate::units::counted;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// So many groups stand open when the page is opened: what a person takes in.
const OPEN: usize = 12;

pub(super) fn write(report: &Report, detail: Detail, out: &mut dyn io::Write) -> io::Result<()> {
    let (before, after) = around(page(report));
    out.write_all(before.as_bytes())?;
    // What program this is, then the whole at a glance, then the parts.
    let is_package = |(_, section): &(usize, &Section)| matches!(section.content, Content::Package(_));
    let (of_package, others): (Vec<_>, Vec<_>) = report.sections.iter().enumerate().partition(is_package);
    let cx = Context { frames: &report.frames, detail };
    let look = Look { cx, rich: true };
    for (index, part) in of_package {
        section(index, part, look, out)?;
    }
    if let Some(drawing) = flame::graph(report, cx) {
        out.write_all(graph(&drawing).into_string().as_bytes())?;
    }
    for (index, part) in others {
        section(index, part, look, out)?;
    }
    out.write_all(after.as_bytes())?;
    out.write_all(b"\n")
}

/// Where in a template something is written that is too long to be kept. No data can look like it: its angle brackets are escaped.
const HOLE: PreEscaped<&str> = PreEscaped("<hole>");

/// What stands before the hole of a template, and after it.
fn around(template: Markup) -> (String, String) {
    let mut before = template.into_string();
    let place = before.find(HOLE.0).unwrap_or(before.len());
    let after = before.split_off(place).split_off(HOLE.0.len());
    (before, after)
}

/// So many groups have their frames with whole paths and source lines. Who reads on from there looks for a function; all that of a thousand stacks that differ would make a page of megabytes.
const RICH: usize = 50;

/// How frames are shown.
#[derive(Clone, Copy)]
struct Look<'a> {
    cx: Context<'a>,
    /// With whole paths and source lines.
    rich: bool,
}

impl Look<'_> {
    /// For the group at this place.
    fn at(self, place: usize) -> Self {
        Self { rich: place < RICH, ..self }
    }
}

fn page(report: &Report) -> Markup {
    let package = report.sections.iter().find_map(|section| match &section.content {
        Content::Package(package) => Some(&**package),
        _ => None,
    });
    let name = package.and_then(|package| package.product.as_deref()).unwrap_or("process");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Guru Meditation: " (clean(name)) ", process " (report.heading.pid) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (top(report, name, package))
                (contents(report))
                main { (HOLE) }
                footer { p { (words::summary(&report.summary)) } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn graph(drawing: &str) -> Markup {
    html! {
        section #stacks {
            h2 { "All stacks" }
            p.note { "Each column is a stack, the outermost function on top; as wide as there are threads and tasks that have it. A click on a function zooms." }
            figure.flame { (PreEscaped(drawing)) }
        }
    }
}

fn top(report: &Report, name: &str, package: Option<&Package>) -> Markup {
    let version = package.and_then(|package| package.version.as_deref());
    html! {
        header {
            div.meditation {
                p { "Guru Meditation" }
                h1 { (clean(name)) @if let Some(version) = version { " " span.version { (clean(version)) } } }
            }
            (fields(&words::heading(&report.heading)))
        }
        section #findings {
            h2 { "Findings" }
            @if report.findings.is_empty() {
                p { (words::NO_FINDINGS) }
            } @else {
                ul.findings { @for finding in &report.findings { (self::finding(finding, report)) } }
            }
        }
    }
}

fn finding(finding: &Finding, report: &Report) -> Markup {
    let (severity, message) = (words::severity(finding.severity), clean(&finding.message));
    html! {
        li class=(severity) {
            @match about(finding, report) {
                Some(anchor) => { a href={ "#" (anchor) } { (message) } }
                None => { (message) }
            }
        }
    }
}

/// The anchor of what a finding is about.
fn about(finding: &Finding, report: &Report) -> Option<String> {
    let thread = || finding.threads.first().map(|&tid| anchors::thread(tid));
    let task = || finding.tasks.first().map(|&id| anchors::task(id));
    let section = || {
        let title = finding.section.as_deref()?;
        let index = report.sections.iter().position(|section| section.title == title)?;
        Some(anchors::section(index))
    };
    thread().or_else(task).or_else(section)
}

fn contents(report: &Report) -> Markup {
    html! {
        nav {
            span.tools hidden {
                select #state aria-label="state" { option value="" { "all states" } }
                input #filter type="search" placeholder="filter: name, function, file" aria-label="filter" title="names, functions, files and options";
                button #unfold type="button" { "unfold all" }
                button #fold type="button" { "fold all" }
                output #matches {}
            }
            @for (index, section) in report.sections.iter().enumerate() {
                a href={ "#" (anchors::section(index)) } { (clean(&section.title)) @if let Some(count) = size(&section.content) { " " span.count { (count) } } }
            }
        }
    }
}

fn size(content: &Content) -> Option<usize> {
    Some(match content {
        Content::Threads(threads) => threads.threads.len(),
        Content::GreenThreads(section) => section.tasks.len(),
        Content::Processes(processes) => processes.processes.len(),
        Content::Configuration(groups) => groups.len(),
        _ => return None,
    })
}

fn section(index: usize, section: &Section, look: Look<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (before, after) = around(html! {
        section id=(anchors::section(index)) class=[(!section.content.is_ok()).then_some("failed")] {
            h2 { (clean(&section.title)) }
            (HOLE)
        }
    });
    out.write_all(before.as_bytes())?;
    // What can be long goes out in parts.
    match &section.content {
        Content::Threads(value) => threads(value, look, out)?,
        Content::GreenThreads(value) => green_threads(value, look, out)?,
        other => out.write_all(content(other, look).into_string().as_bytes())?,
    }
    out.write_all(after.as_bytes())
}

fn content(content: &Content, look: Look<'_>) -> Markup {
    match content {
        Content::Package(value) => fields(&words::package(value)),
        Content::Processes(value) => processes(value),
        Content::Configuration(groups) => configuration(groups, look),
        Content::Fields(value) => self::value(value),
        Content::Text(text) if !text.trim().is_empty() => pre(text, None),
        Content::Text(_) => self::content(&Content::Nothing, look),
        // Threads and tasks are sections of their own.
        failed => html! {
            (pre(&words::failure(failed).unwrap_or_default(), Some("failure")))
            @match failed {
                Content::Panicked(value) => { (stack(&value.stack, look)) }
                Content::TimedOut(value) => { (stuck(&value.overdue, look)) }
                Content::StillRunning(value) => { (stuck(value, look)) }
                _ => {}
            }
        },
    }
}

/// Text as its author broke it into lines.
fn pre(text: &str, class: Option<&str>) -> Markup {
    // A parser of HTML passes over the first line feed.
    html! { pre class=[class] { "\n" (clean_lines(text)) } }
}

fn stuck(overdue: &Overdue, look: Look<'_>) -> Markup {
    html! {
        p { "on " a href={ "#" (anchors::thread(overdue.tid)) } { "thread #" (overdue.tid) } }
        (frames_and_end(&grouping::of_section(overdue, look.cx), &overdue.stack, look))
    }
}

fn fields(fields: &[Field]) -> Markup {
    html! { dl { @for (key, value) in fields { div { dt { (key) } dd { (value) } } } } }
}

fn notes(notes: &[String]) -> Markup {
    html! { @for note in notes { p.note { (clean(note)) } } }
}

fn threads(section: &Threads, look: Look<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (making, others): (Vec<&Thread>, Vec<&Thread>) = section
        .threads
        .iter()
        .partition(|thread| look.cx.detail == Detail::Short && thread.role == Role::Reporter);
    let groups = grouping::of_threads(others, look.cx.frames);
    let (before, after) = around(html! {
        (notes(&section.notes))
        @if look.cx.detail == Detail::Short { p.note { "Frames of Rust's own runtime are left out; GMR_BACKTRACE=full shows them." } }
        @if groups.len() > RICH { p.note { "Whole paths and source lines are shown in the first " (RICH) " groups." } }
        (HOLE)
        @if !making.is_empty() {
            p.note { (counted(making.len(), "thread")) " making this report: " (thread_names(&making)) }
        }
    });
    out.write_all(before.as_bytes())?;
    for (place, group) in groups.iter().enumerate() {
        let (before, after) = around(thread_group(group, place < OPEN, look.at(place)));
        out.write_all(before.as_bytes())?;
        // A pool may have thousands.
        for (index, thread) in group.iter().enumerate().filter(|_| group.len() > 1) {
            out.write_all(thread_name(index, thread).into_string().as_bytes())?;
        }
        out.write_all(after.as_bytes())?;
    }
    out.write_all(after.as_bytes())
}

fn thread_group(group: &[&Thread], open: bool, look: Look<'_>) -> Markup {
    let idle = grouping::idle(group[0], look.cx.frames).filter(|_| look.cx.detail == Detail::Short);
    let shown = grouping::shown(&group[0].stack, look.cx);
    let alone = group.len() == 1;
    let states: Vec<_> = group.iter().filter_map(|thread| thread.state.as_deref()).collect();
    html! {
        details.group id=[alone.then(|| anchors::thread(group[0].tid))] data-states=(states_of(&states)) open[open && idle.is_none()] {
            summary {
                span.title { (words::threads_title(group)) }
                @if idle.is_some() { span.badge { "idle" } }
                @if let Some(frame) = shown.first() { " " span.where { (function(frame)) } }
            }
            @if alone { (HOLE) } @else { p.members { (HOLE) } }
            @for line in words::threads_facts(group) { p { (line) } }
            (stack(&group[0].stack, look))
        }
    }
}

/// Each state once, for the filter.
fn states_of(states: &[&str]) -> String {
    let mut states: Vec<String> = states.iter().map(|state| clean(state).into_owned()).collect();
    states.sort_unstable();
    states.dedup();
    states.join("|")
}

fn thread_names(threads: &[&Thread]) -> Markup {
    html! { @for (index, thread) in threads.iter().enumerate() { (thread_name(index, thread)) } }
}

/// One in a list of names.
fn thread_name(index: usize, thread: &Thread) -> Markup {
    html! { @if index > 0 { ", " } span id=(anchors::thread(thread.tid)) { (words::label(thread)) } }
}

fn green_threads(section: &GreenThreads, look: Look<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let heading = html! {
        (notes(&section.notes))
        p { "tasks = " (words::totals(&section.tasks)) }
        @for runtime in &section.runtimes { p { "runtime = " (words::described(runtime)) } }
        @if let Some(note) = words::untracked(&section.tasks, &section.runtimes) { p.note { (note) } }
    };
    out.write_all(heading.into_string().as_bytes())?;
    for (place, group) in grouping::of_tasks(&section.tasks).iter().enumerate() {
        out.write_all(task_group(group, place < OPEN, look.at(place)).into_string().as_bytes())?;
    }
    Ok(())
}

fn task_group(group: &[&Task], open: bool, look: Look<'_>) -> Markup {
    let Places { branches, common } = grouping::places(&group[0].stacks, look.cx);
    let alone = group.len() == 1;
    let waits_at = branches.first().and_then(|branch| branch.first());
    html! {
        details.group id=[alone.then(|| anchors::task(group[0].id))] data-states=(words::task_state(&group[0].state)) open[open] {
            summary {
                span.title { (words::tasks_title(group)) }
                " " span.badge { (words::task_state(&group[0].state)) }
                @if let Some(frame) = waits_at { " " span.where { (function(frame)) } }
            }
            // Those that are not named here are only counted; a finding points at the first.
            p.members {
                @for (index, named) in words::tasks_named(group).into_iter().enumerate() {
                    @if index > 0 { ", " }
                    @if let Some(task) = group.get(index).filter(|_| !alone) { span id=(anchors::task(task.id)) { (named) } } @else { (named) }
                }
            }
            @for line in words::tasks_facts(group) { p { (line) } }
            @match &branches[..] {
                [] => {}
                [only] => { (frames(only, look)) }
                many => {
                    @for (index, branch) in many.iter().enumerate() {
                        p { "waiting at " (index + 1) " of " (many.len()) ":" }
                        (frames(branch, look))
                    }
                    @if !common.is_empty() { p { "all of them called by:" } (frames(&common, look)) }
                }
            }
            @for reason in group[0].stacks.iter().filter_map(|stack| stack.incomplete.as_ref()) { p.note { "incomplete: " (clean(reason)) } }
        }
    }
}

fn stack(stack: &Stack, look: Look<'_>) -> Markup {
    frames_and_end(&grouping::shown(stack, look.cx), stack, look)
}

/// These frames of a stack, then why it is not whole.
fn frames_and_end(shown: &[&Frame], stack: &Stack, look: Look<'_>) -> Markup {
    html! {
        (frames(shown, look))
        @if let Some(reason) = &stack.incomplete {
            p.note { @if stack.frames.is_empty() { "no stack: " } @else { "incomplete: " } (clean(reason)) }
        }
    }
}

fn frames<T: Borrow<Frame>>(frames: &[T], look: Look<'_>) -> Markup {
    if frames.is_empty() {
        return Markup::default();
    }
    let (inner, between, outer) = grouping::ends(frames, look.cx.detail);
    let left_out = (between > 0).then(|| format!("... {} ...", counted(between, "more frame")));
    if !look.rich {
        let inner = inner.iter().map(|one| poor(one.borrow()));
        let outer = outer.iter().map(|one| poor(one.borrow()));
        let lines: Vec<String> = inner.chain(left_out).chain(outer).collect();
        return html! { pre.stack { "\n" (lines.join("\n")) } };
    }
    html! {
        ol.stack {
            @for one in inner { (frame(one.borrow())) }
            @if let Some(left_out) = left_out { li.note { (left_out) } }
            @for one in outer { (frame(one.borrow())) }
        }
    }
}

/// A frame in a line: its function, and the name of its file.
fn poor(frame: &Frame) -> String {
    let file = frame.file.as_deref().map(|file| clean(file.rsplit('/').next().unwrap_or(file)));
    let place = file.zip(frame.line).map(|(file, line)| format!(" {file}:{line}")).unwrap_or_default();
    format!("{}{place}", function(frame))
}

fn frame(frame: &Frame) -> Markup {
    html! {
        li {
            b { (function(frame)) }
            @if frame.inlined { " (inlined)" }
            @if let (None, Some(build_id)) = (&frame.function, &frame.build_id) { " (build-id " (clean(build_id)) ")" }
            @if let Some(file) = &frame.file {
                " " i { (words::short_path(file)) @if let Some(line) = frame.line { ":" (line) } }
            }
            @if let Some(source) = &frame.source { code { (clean(source)) } }
        }
    }
}

/// What a frame is called: its function; without one, where it is.
fn function(frame: &Frame) -> String {
    frame.function.as_deref().map_or_else(|| words::place(frame), |function| clean(function).into_owned())
}

fn processes(section: &Processes) -> Markup {
    html! {
        @for process in &section.processes {
            div.process style={ "margin-left:" (process.depth * 2) "em" } { (fields(&words::process(process))) }
        }
    }
}

fn configuration(groups: &[Group], look: Look<'_>) -> Markup {
    html! {
        @if groups.is_empty() { p.note { "no group is registered" } }
        @for group in groups {
            details.group.config open {
                summary { span.title { (clean(&group.title)) } }
                (content(&group.content, look))
            }
        }
    }
}

/// A value: maps and lists as tables in one another.
fn value(value: &Value) -> Markup {
    match value {
        Value::Map(entries) if !entries.is_empty() => html! {
            table { @for (key, value) in entries { tr { th scope="row" { (clean(key)) } td { (self::value(value)) } } } }
        },
        Value::List(items) if !items.is_empty() => html! {
            ul.list { @for item in items { li { (self::value(item)) } } }
        },
        scalar => html! { (words::scalar(scalar)) },
    }
}
