//! The sentence of a finding, in which each thread and each task that it names is a link.

use maud::{Markup, html};

use super::anchors::{self, Links};
use super::breaks::breakable;
use super::names::{Named, names};
use crate::model::{Finding, Report};
use crate::views::room::of_line;
use crate::views::words;

/// The sentence of a finding with links to all that it names, or as one link to what it is about.
pub(super) fn headline(finding: &Finding, report: &Report, links: &Links) -> Markup {
    let sentence = of_line(&words::finding(finding)).into_owned();
    let target = |named| match named {
        Named::Thread(tid) => links.thread(tid),
        Named::Task(id) => links.task(id),
    };
    let mut parts: Vec<(&str, Option<String>)> = Vec::new();
    let mut rest = 0;
    for (place, named) in names(finding, &sentence) {
        if let Some(anchor) = target(named) {
            parts.push((&sentence[rest..place.start], None));
            rest = place.end;
            parts.push((&sentence[place], Some(anchor)));
        }
    }
    let whole = if parts.is_empty() { about(finding, report, links) } else { None };
    parts.push((&sentence[rest..], whole));
    html! {
        span.headline {
            @for (text, anchor) in parts {
                @match anchor {
                    Some(anchor) => { a href={ "#" (anchor) } { (breakable(text)) } }
                    None => { (breakable(text)) }
                }
            }
        }
    }
}

/// The anchor of the thread, task or section that a finding is about, if the page has it.
fn about(finding: &Finding, report: &Report, links: &Links) -> Option<String> {
    let thread = || finding.threads.first().and_then(|&tid| links.thread(tid));
    let task = || finding.tasks.first().and_then(|&id| links.task(id));
    let section = || {
        let title = finding.section.as_deref()?;
        let index = report.sections.iter().position(|section| section.title == title)?;
        Some(anchors::section(index))
    };
    thread().or_else(task).or_else(section)
}
