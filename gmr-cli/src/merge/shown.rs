//! Merged reports as text. It counts nothing.

use super::groups::{Merged, MergedPlace, Version};
use crate::output::{Page, as_u64, counted, number};
use crate::places::stack;

/// At most `top` findings and places.
pub(super) fn page(merged: &Merged, top: usize) -> Page {
    let mut page = Page::new();
    let hosts = match merged.hosts {
        // Their reports lack the section that says so.
        0 => String::new(),
        hosts => format!(" on {}", counted(hosts, "host")),
    };
    let processes = counted(merged.processes, "process");
    page.line(0, &format!("{processes}{hosts}: {}", versions(&merged.versions)));
    if merged.earlier_reports > 0 {
        let earlier = counted(merged.earlier_reports, "earlier report");
        page.line(0, &format!("{earlier} of these processes left out"));
    }
    if merged.unknown_processes > 0 {
        let unknown = counted(merged.unknown_processes, "report");
        page.line(0, &format!("{unknown} without the start of the process: each counts as a process"));
    }
    findings(&mut page, merged, top);
    places(&mut page, merged, top);
    page
}

fn findings(page: &mut Page, merged: &Merged, top: usize) {
    page.heading("Findings");
    for finding in merged.findings.iter().take(top) {
        finding.found.show(page, "");
        let of = of(finding.processes, merged);
        let differ = if finding.numbers_differ { " with other numbers" } else { "" };
        page.line(6, &format!("in {of}{differ}{}", of_versions(&finding.versions, merged)));
    }
    page.more(merged.findings.len().saturating_sub(top), "more finding");
    if merged.findings.is_empty() {
        page.line(2, "none");
    }
}

fn places(page: &mut Page, merged: &Merged, top: usize) {
    page.heading("Places");
    for place in merged.places.iter().take(top) {
        let MergedPlace { kind, processes, count, idle, .. } = place;
        let idle = if *idle { ", waiting for work" } else { "" };
        let (of, versions) = (of(*processes, merged), of_versions(&place.versions, merged));
        page.line(2, &format!("{of}: {}{idle}{versions}", counted(*count, kind.noun())));
        stack(page, &place.stack);
    }
    page.more(merged.places.len().saturating_sub(top), "more place");
    if merged.places.is_empty() {
        page.line(2, "none");
    }
}

/// `812 of 1,000 processes`
fn of(processes: u64, merged: &Merged) -> String {
    format!("{} of {}", number(processes), counted(merged.processes, "process"))
}

/// `; 800 shop 1.2, 12 shop 1.1`, if there are several versions.
fn of_versions(of: &[Version], merged: &Merged) -> String {
    if merged.versions.len() < 2 { String::new() } else { format!("; {}", versions(of)) }
}

fn versions(versions: &[Version]) -> String {
    const MAX_NAMED: usize = 4;
    let name = |version: &Version| format!("{} {}", number(version.processes), version.name);
    let mut named: Vec<String> = versions.iter().take(MAX_NAMED).map(name).collect();
    if versions.len() > MAX_NAMED {
        named.push(counted(as_u64(versions.len() - MAX_NAMED), "more version"));
    }
    named.join(", ")
}
