//! The HTML view: a self-contained page. It can be read without JavaScript; with it, it can also be
//! filtered, folded and zoomed.
//!
//! The template library escapes all data. Invisible characters and bidirectional controls are made
//! visible before that, as in the text view. The only markup that is not escaped is the page's own
//! style and script.

mod anchors;
mod breaks;
#[cfg(feature = "json")]
mod data;
mod flame;
mod groups;
mod headline;
mod lists;
mod names;
mod out;
mod related;
mod stacks;
mod tracing;

use std::io;

use maud::{DOCTYPE, Markup, html};

use self::anchors::Links;
use self::breaks::breakable;
use self::flame::Drawing;
use self::groups::{green_threads, threads};
use self::headline::headline;
use self::lists::{fields, listing, notes, pre, processes, value};
use self::out::{Out, PLACEHOLDER, Written};
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
    let room = Room::new(MAX_PAGE);
    let out = &mut Out::new(out, &room);
    let (links, related) = (Links::of(report), Related::of(report));
    let frames = Known::all(&report.frames);
    let cx = Context { frames: &frames, detail, room: &room };
    // The package first, then all stacks at a glance, then the other sections.
    let is_package = |(_, section): &(usize, &Section)| matches!(section.content, Content::Package(_));
    let (of_package, others): (Vec<_>, Vec<_>) = report.sections.iter().enumerate().partition(is_package);
    let drawing = flame::graph(report, cx);
    let page = page(report).into_string();
    let mut pieces = page.split(PLACEHOLDER.0);
    out.write(pieces.next().unwrap_or_default())?;
    out.write(STYLE)?;
    out.write(pieces.next().unwrap_or_default())?;
    fields(&words::heading(&report.heading), out)?;
    out.write(pieces.next().unwrap_or_default())?;
    findings(report, &links, &related, out)?;
    contents(&of_package, drawing.is_some(), &others, report.findings.len(), out)?;
    out.write(pieces.next().unwrap_or_default())?;
    let style = Style { cx, links: &links, related: &related, verbose: true, brief: false };
    for (index, part) in of_package {
        section(index, part, style, out)?;
    }
    if let Some(drawing) = drawing {
        graph(&drawing, out)?;
    }
    for (index, part) in others {
        section(index, part, style, out)?;
    }
    #[cfg(feature = "json")]
    data::write(
        report,
        SCRIPT.len() + FLAME_SCRIPT.len() + pieces.clone().map(str::len).sum::<usize>(),
        out,
    )?;
    out.write(pieces.next().unwrap_or_default())?;
    out.write(SCRIPT)?;
    out.write(FLAME_SCRIPT)?;
    out.write(pieces.next().unwrap_or_default())?;
    out.write("\n")
}

/// What is in each page, with a placeholder for the style, for the fields of the heading, for the
/// findings and the contents, for the sections, and for the scripts.
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
                title { "Guru Meditation: " (of_line(name)) ", process " (report.heading.pid) }
                style { (PLACEHOLDER) }
            }
            body {
                a.skip href="#controls" { "skip to the filter and the contents" }
                (top(name, package))
                // The keyboard reaches the findings before the contents and the filter.
                main {
                    (PLACEHOLDER)
                    div #sections {
                        // Shown while nothing matches the filter.
                        p #none hidden { span {} " " button #clear type="button" { "clear the filter (Esc)" } }
                        (PLACEHOLDER)
                    }
                }
                footer {
                    p { (words::summary(&report.summary)) }
                    a.up href="#contents" aria-label="to the contents" title="to the contents" { "☰" }
                }
                script { (PLACEHOLDER) }
            }
        }
    }
}

fn graph(drawing: &Drawing, out: &mut Out<'_>) -> Written {
    let around = html! {
        section #stacks {
            h2 { "All stacks" }
            (PLACEHOLDER)
        }
    };
    out.around(&around, |out| drawing.write(&mut |markup| out.write(markup)))
}

fn top(name: &str, package: Option<&Package>) -> Markup {
    let version = package.and_then(|package| package.version.as_deref());
    html! {
        header {
            div.meditation {
                p { "Guru Meditation" }
                h1 { (of_line(name)) @if let Some(version) = version { " " span.version { (of_line(version)) } } }
            }
            (PLACEHOLDER)
        }
    }
}

fn findings(report: &Report, links: &Links, related: &Related<'_>, out: &mut Out<'_>) -> Written {
    let around = html! {
        section #findings {
            h2 { "Findings" }
            @if report.findings.is_empty() { p { (words::NO_FINDINGS) } } @else { ul.findings { (PLACEHOLDER) } }
        }
    };
    out.around(&around, |out| {
        out.rows(report.findings.iter().enumerate(), "finding", |out, (index, finding)| {
            related.shows(index);
            self::finding(index, finding, report, links, out)
        })
    })
}

fn finding(index: usize, finding: &Finding, report: &Report, links: &Links, out: &mut Out<'_>) -> Written {
    let severity = words::severity(finding.severity);
    let around = html! {
        li id=(anchors::finding(index)) class=(severity) {
            span.severity { (severity) } " "
            (headline(finding, report, links))
            (PLACEHOLDER)
        }
    };
    out.around(&around, |out| {
        let evidence = finding.evidence.iter();
        out.rows(evidence, "line", |out, evidence| self::evidence(evidence, report, links, out))?;
        let Some(next) = &finding.next else { return Ok(()) };
        out.add(&html! { div.evidence { "next: " (breakable(&of_line(next))) } })
    })
}

fn evidence(evidence: &Evidence, report: &Report, links: &Links, out: &mut Out<'_>) -> Written {
    let shown = words::evidence(evidence, &report.frames);
    let thread = evidence.thread.and_then(|tid| links.thread(tid));
    let around = html! {
        div.evidence {
            @match thread.or_else(|| evidence.task.and_then(|id| links.task(id))) {
                Some(anchor) => { a href={ "#" (anchor) } { (PLACEHOLDER) } }
                None => { (PLACEHOLDER) }
            }
        }
    };
    out.around(&around, |out| breaks::add(&shown, out))
}

/// The most sections that the contents link to.
const MAX_LINKS: usize = 200;

/// Links to all parts of the page, in the order of the page.
fn contents(
    of_package: &[(usize, &Section)],
    has_drawing: bool,
    others: &[(usize, &Section)],
    findings: usize,
    out: &mut Out<'_>,
) -> Written {
    let link = |(index, section): &(usize, &Section)| {
        html! {
            a href={ "#" (anchors::section(*index)) } {
                (of_line(&section.title))
                @if let Some(failure) = failure(&section.content) { " " span.failure { (failure) } }
                @else if let Some(count) = size(&section.content) { " " span.count { (count) } }
            }
        }
    };
    let around = html! {
        nav #controls aria-label="Contents and filter" {
            (tools())
            details #contents open {
                summary { "Contents" }
                a href="#findings" { "Findings " span.count { (findings) } }
                (PLACEHOLDER)
            }
        }
    };
    out.around(&around, |out| {
        let (first, others_shown) =
            (of_package.len().min(MAX_LINKS), MAX_LINKS.saturating_sub(of_package.len()));
        of_package[..first].iter().try_for_each(|section| out.add(&link(section)))?;
        if has_drawing {
            out.add(&html! { a href="#stacks" { "All stacks" } })?;
        }
        others.iter().take(others_shown).try_for_each(|section| out.add(&link(section)))?;
        match (of_package.len() + others.len()).saturating_sub(MAX_LINKS) {
            0 => Ok(()),
            left => out.add(&html! { span.note { (not_shown(left, "section")) } }),
        }
    })
}

/// What needs the script, which shows it.
fn tools() -> Markup {
    html! {
        div.tools role="search" hidden {
            input #filter type="search" placeholder="name, label, function, file" aria-label="filter" aria-describedby="keys";
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
            button #copy-findings type="button" { "copy findings" }
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

fn section(index: usize, section: &Section, style: Style<'_>, out: &mut Out<'_>) -> Written {
    out.room().begin_section();
    let around = html! {
        section id=(anchors::section(index)) class=[(!section.content.is_ok()).then_some("failed")] {
            h2 { (of_line(&section.title)) }
            (PLACEHOLDER)
        }
    };
    out.around(&around, |out| content(&section.content, style, out))
}

fn content(content: &Content, style: Style<'_>, out: &mut Out<'_>) -> Written {
    match content {
        Content::Package(value) => fields(&words::package(value), out),
        Content::Resources(value) => fields(&words::resources(value), out),
        Content::Threads(value) => threads(value, style, out),
        Content::GreenThreads(value) => green_threads(value, style, out),
        Content::Processes(value) => processes(value, out),
        Content::Descriptors(value) => listing(&words::descriptors(value), out),
        Content::Modules(value) => listing(&words::modules(value), out),
        Content::Environment(value) => listing(&words::environment(value), out),
        Content::Configuration(groups) => configuration(groups, style, out),
        Content::Spans(value) => {
            notes(&value.notes, out)?;
            tracing::spans(value, out)
        }
        Content::Events(value) => {
            notes(&value.notes, out)?;
            tracing::events(value, out)
        }
        Content::Fields(fields) => value(fields, out),
        Content::Text(text) if !text.trim().is_empty() => pre(text, None, out),
        Content::Text(_) => self::content(&Content::Nothing, style, out),
        failed => {
            pre(&words::failure(failed).unwrap_or_default(), Some("failure"), out)?;
            match failed {
                Content::Panicked(value) => stack(&value.stack, style, out),
                Content::TimedOut(value) => stuck(&value.overdue, style, out),
                Content::StillRunning(value) => stuck(value, style, out),
                _ => Ok(()),
            }
        }
    }
}

fn stuck(overdue: &Overdue, style: Style<'_>, out: &mut Out<'_>) -> Written {
    out.add(&html! {
        p {
            "on "
            @match style.links.thread(overdue.tid) {
                Some(anchor) => a href={ "#" (anchor) } { "thread #" (overdue.tid) },
                None => { "thread #" (overdue.tid) }
            }
        }
    })?;
    frames_and_end(&grouping::of_section(overdue, style.cx), &overdue.stack, style, out)
}

fn configuration(groups: &[Group], style: Style<'_>, out: &mut Out<'_>) -> Written {
    if groups.is_empty() {
        return out.add(&html! { p.note { "(no groups registered)" } });
    }
    out.rows(groups.iter(), "group", |out, group| {
        let around = html! {
            details.group.config open {
                summary { span.title { (of_line(&group.title)) } }
                (PLACEHOLDER)
            }
        };
        out.around(&around, |out| content(&group.content, style, out))
    })
}
