//! The HTML view: a self-contained page. It can be read without JavaScript; with it, it can also be
//! filtered, folded and zoomed.
//!
//! The template library escapes all data. Invisible characters and bidirectional controls are made
//! visible before that, as in the text view. The only markup that is not escaped is the page's own
//! style and script.

mod anchors;
#[cfg(feature = "json")]
mod data;
mod flame;
mod groups;
mod headline;
mod lists;
mod names;
mod pieces;
mod related;
mod stacks;
mod tracing;

use std::io::{self, Write as _};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::anchors::Links;
use self::groups::{green_threads, threads};
use self::headline::headline;
use self::lists::{fields, listing, notes, pre, processes, rows, shortened, spent, value};
use self::pieces::{PLACEHOLDER, split_at_placeholder};
use self::related::Related;
use self::stacks::{Style, frames_and_end, stack};
use super::grouping;
use super::room::{MAX_PAGE, Room, not_shown, of_line};
use super::words;
use super::{Context, Detail, Known};
use crate::model::{Content, Evidence, Finding, Group, Overdue, Package, Report, Section};

#[cfg(feature = "__cli")]
pub use self::flame::Flame;

/// The page's style.
pub(crate) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// For a page that has a [`Flame`].
pub(crate) const FLAME_SCRIPT: &str = include_str!("flame.js");

pub(super) fn write(report: &Report, detail: Detail, out: &mut dyn io::Write) -> io::Result<()> {
    let out = &mut Counted { out, written: 0 };
    let room = Room::new(MAX_PAGE);
    let (links, related) = (Links::of(report), Related::of(report));
    let frames = Known::all(&report.frames);
    let cx = Context { frames: &frames, detail, room: &room };
    // The package first, then all stacks at a glance, then the other sections.
    let is_package = |(_, section): &(usize, &Section)| matches!(section.content, Content::Package(_));
    let (of_package, others): (Vec<_>, Vec<_>) = report.sections.iter().enumerate().partition(is_package);
    let drawing = flame::graph(report, cx);
    let contents = contents(&of_package, drawing.is_some(), &others, report.findings.len());
    let (before, after) = split_at_placeholder(page(report, &contents, &links, &related, &room));
    out.write_all(before.as_bytes())?;
    let style = Style { cx, links: &links, related: &related, verbose: true, brief: false };
    for (index, part) in of_package {
        section(index, part, style, out)?;
    }
    if let Some(drawing) = drawing {
        out.write_all(graph(&drawing).into_string().as_bytes())?;
    }
    for (index, part) in others {
        section(index, part, style, out)?;
    }
    #[cfg(feature = "json")]
    data::write(report, out.written + after.len(), out)?;
    out.write_all(after.as_bytes())?;
    out.write_all(b"\n")
}

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut dyn io::Write,
    #[cfg_attr(not(feature = "json"), allow(dead_code, reason = "without JSON, nothing needs it"))]
    written: usize,
}

impl io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn page(report: &Report, contents: &Markup, links: &Links, related: &Related<'_>, room: &Room) -> Markup {
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
                title { "Guru Meditation: " (of_line(name)) ", process " (report.heading.pid) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#findings" { "skip to the findings" }
                (top(report, name, package))
                // The keyboard reaches the findings before the contents and the filter.
                main {
                    (findings(report, links, related, room))
                    (contents)
                    div #sections { (PLACEHOLDER) }
                }
                footer {
                    p { (words::summary(&report.summary)) }
                    a.up href="#contents" aria-label="to the contents" { "↑" }
                }
                script { (PreEscaped(SCRIPT)) (PreEscaped(FLAME_SCRIPT)) }
            }
        }
    }
}

fn graph(drawing: &Markup) -> Markup {
    html! {
        section #stacks {
            h2 { "All stacks" }
            (drawing)
        }
    }
}

fn top(report: &Report, name: &str, package: Option<&Package>) -> Markup {
    let version = package.and_then(|package| package.version.as_deref());
    html! {
        header {
            div.meditation {
                p { "Guru Meditation" }
                h1 { (of_line(name)) @if let Some(version) = version { " " span.version { (of_line(version)) } } }
            }
            (fields(&words::heading(&report.heading)))
        }
    }
}

fn findings(report: &Report, links: &Links, related: &Related<'_>, room: &Room) -> Markup {
    html! {
        section #findings {
            h2 { "Findings" }
            @if report.findings.is_empty() {
                p { (words::NO_FINDINGS) }
            } @else {
                ul.findings {
                    (rows(report.findings.iter().enumerate(), "finding", room, |(index, finding)| {
                        related.shows(index);
                        self::finding(index, finding, report, links, room)
                    }))
                }
            }
        }
    }
}

fn finding(index: usize, finding: &Finding, report: &Report, links: &Links, room: &Room) -> Markup {
    let severity = words::severity(finding.severity);
    html! {
        li id=(anchors::finding(index)) class=(severity) {
            span.severity { (severity) } " "
            (headline(finding, report, links))
            (rows(finding.evidence.iter(), "line", room, |evidence| spent(html! { div.evidence { (self::evidence(evidence, report, links)) } }, room)))
            @if let Some(next) = &finding.next { div.evidence { "next: " (of_line(next)) } }
        }
    }
}

fn evidence(evidence: &Evidence, report: &Report, links: &Links) -> Markup {
    let shown = words::evidence(evidence, &report.frames);
    let thread = evidence.thread.and_then(|tid| links.thread(tid));
    html! {
        @match thread.or_else(|| evidence.task.and_then(|id| links.task(id))) {
            Some(anchor) => { a href={ "#" (anchor) } { (shown) } }
            None => { (shown) }
        }
    }
}

/// The most sections that the contents link to.
const MAX_LINKS: usize = 200;

/// Links to all parts of the page, in the order of the page.
fn contents(
    of_package: &[(usize, &Section)],
    has_drawing: bool,
    others: &[(usize, &Section)],
    findings: usize,
) -> Markup {
    let link = |(index, section): &(usize, &Section)| {
        html! {
            a href={ "#" (anchors::section(*index)) } {
                (of_line(&section.title))
                @if let Some(failure) = failure(&section.content) { " " span.failure { (failure) } }
                @else if let Some(count) = size(&section.content) { " " span.count { (count) } }
            }
        }
    };
    let shown = MAX_LINKS.saturating_sub(of_package.len());
    html! {
        nav aria-label="Contents and filter" {
            (tools())
            details #contents open {
                summary { "Contents" }
                a href="#findings" { "Findings " span.count { (findings) } }
                @for section in of_package.iter().take(MAX_LINKS) { (link(section)) }
                @if has_drawing { a href="#stacks" { "All stacks" } }
                @for section in others.iter().take(shown) { (link(section)) }
                @let left = (of_package.len() + others.len()).saturating_sub(MAX_LINKS);
                @if left > 0 { span.note { (not_shown(left, "section")) } }
            }
        }
    }
}

/// What needs the script, which shows it.
fn tools() -> Markup {
    html! {
        div.tools role="search" hidden {
            input #filter type="search" placeholder="filter: name, label, function, file" aria-label="filter" aria-describedby="keys";
            p #keys { kbd { "/" } " filter, " kbd { "Enter" } " next, " kbd { "Shift+Enter" } " previous, " kbd { "Esc" } " clear" }
            select #state aria-label="state" { option value="" { "all states" } }
            span.found hidden {
                output #matches {}
                button #previous type="button" aria-label="previous match" { "↑" }
                button #next type="button" aria-label="next match" { "↓" }
            }
            button #unfold type="button" { "unfold all" }
            button #fold type="button" { "fold all" }
            button #libraries type="button" aria-pressed="false" { "hide library frames" }
            button #copy type="button" { "copy as text" }
            // Shown if the report itself is in the page.
            span.data hidden {
                button #download type="button" { "save as JSON" }
                button #compare type="button" title="another report of this process or of another one, as JSON or as a page; or drop the file here" { "compare with a file" }
                input #other type="file" aria-label="the other report" hidden;
            }
        }
    }
}

/// Why there is nothing to read in a section but the reason, in a word or two.
fn failure(content: &Content) -> Option<&'static str> {
    match content {
        Content::Error(_) => Some("failed"),
        Content::Panicked(_) => Some("panicked"),
        Content::TimedOut(_) => Some("timed out"),
        Content::StillRunning(_) | Content::Skipped(_) => Some("skipped"),
        _ => None,
    }
}

fn size(content: &Content) -> Option<usize> {
    Some(match content {
        Content::Threads(threads) => threads.threads.len(),
        Content::GreenThreads(section) => section.tasks.len(),
        Content::Processes(processes) => processes.processes.len(),
        Content::Descriptors(descriptors) => usize::try_from(descriptors.open?).ok()?,
        Content::Modules(modules) => modules.modules.len(),
        Content::Environment(environment) => environment.variables.len(),
        Content::Configuration(groups) => groups.len(),
        Content::Spans(section) => usize::try_from(section.open).ok()?,
        Content::Events(section) => section.events.len(),
        _ => return None,
    })
}

fn section(index: usize, section: &Section, style: Style<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (before, after) = split_at_placeholder(html! {
        section id=(anchors::section(index)) class=[(!section.content.is_ok()).then_some("failed")] {
            h2 { (of_line(&section.title)) }
            (PLACEHOLDER)
        }
    });
    out.write_all(before.as_bytes())?;
    let room = style.cx.room;
    room.begin_section();
    room.spend(before.len());
    // Sections that can be long are written in pieces.
    match &section.content {
        Content::Threads(value) => threads(value, style, out)?,
        Content::GreenThreads(value) => green_threads(value, style, out)?,
        other => out.write_all(content(other, style).into_string().as_bytes())?,
    }
    out.write_all(after.as_bytes())
}

fn content(content: &Content, style: Style<'_>) -> Markup {
    let room = style.cx.room;
    match content {
        Content::Package(value) => fields(&words::package(value)),
        Content::Resources(value) => fields(&words::resources(value)),
        Content::Processes(value) => processes(value, room),
        Content::Descriptors(value) => listing(&words::descriptors(value), room),
        Content::Modules(value) => listing(&words::modules(value), room),
        Content::Environment(value) => listing(&words::environment(value), room),
        Content::Configuration(groups) => configuration(groups, style),
        Content::Spans(value) => html! { (notes(&value.notes)) (tracing::spans(value, room)) },
        Content::Events(value) => html! { (notes(&value.notes)) (tracing::events(value, room)) },
        Content::Fields(fields) => value(fields, room),
        Content::Text(text) if !text.trim().is_empty() => pre(&shortened(text, room), None),
        Content::Text(_) => self::content(&Content::Nothing, style),
        // Threads and tasks do not get here: `section` handles them.
        failed => html! {
            (pre(&shortened(&words::failure(failed).unwrap_or_default(), room), Some("failure")))
            @match failed {
                Content::Panicked(value) => { (stack(&value.stack, style)) }
                Content::TimedOut(value) => { (stuck(&value.overdue, style)) }
                Content::StillRunning(value) => { (stuck(value, style)) }
                _ => {}
            }
        },
    }
}

fn stuck(overdue: &Overdue, style: Style<'_>) -> Markup {
    html! {
        p {
            "on "
            @match style.links.thread(overdue.tid) {
                Some(anchor) => a href={ "#" (anchor) } { "thread #" (overdue.tid) },
                None => { "thread #" (overdue.tid) }
            }
        }
        (frames_and_end(&grouping::of_section(overdue, style.cx), &overdue.stack, style))
    }
}

fn configuration(groups: &[Group], style: Style<'_>) -> Markup {
    html! {
        @if groups.is_empty() { p.note { "(no groups registered)" } }
        (rows(groups.iter(), "group", style.cx.room, |group| html! {
            details.group.config open {
                summary { span.title { (of_line(&group.title)) } }
                (content(&group.content, style))
            }
        }))
    }
}
