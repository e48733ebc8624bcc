//! Answers as text, as `gmr merge` shows it. It asks nothing, and counts only what it leaves out.

use std::collections::HashMap;

use gmr_runtime::__cli::bytes;
use serde::Deserialize;

use crate::output::{counted, number};
use crate::page::Page;
use crate::split::format_time;

/// A row of `versions.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Running {
    pub(crate) program: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) processes: usize,
    pub(crate) all_hosts: usize,
}

/// A row of `stacks.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) kind: Option<String>,
    pub(crate) functions: Option<Vec<Option<String>>>,
    pub(crate) lines: Option<Vec<Option<String>>>,
    pub(crate) idle: Option<bool>,
    pub(crate) processes: usize,
    pub(crate) count: usize,
    pub(crate) place_id: String,
}

/// A row of `stacks-by-version.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct OfVersion {
    pub(crate) place_id: String,
    pub(crate) program: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) processes: usize,
    pub(crate) of: usize,
    pub(crate) report_id: Option<String>,
}

/// A row of `stacks-by-host.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct OfHost {
    pub(crate) place_id: String,
    pub(crate) host: Option<String>,
    pub(crate) processes: usize,
}

/// What the processes at a place are divided by.
pub(crate) enum Parts {
    None,
    Versions(Vec<OfVersion>),
    Hosts(Vec<OfHost>),
}

/// A row of `findings.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) code: Option<String>,
    pub(crate) said: Option<String>,
    pub(crate) severity: Option<String>,
    pub(crate) certainty: String,
    pub(crate) message: Option<String>,
    pub(crate) numbers_differ: bool,
    pub(crate) processes: usize,
    pub(crate) hosts: usize,
}

/// A row of `findings-by-version.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct FindingOfVersion {
    pub(crate) code: Option<String>,
    pub(crate) said: Option<String>,
    pub(crate) severity: Option<String>,
    pub(crate) certainty: String,
    pub(crate) program: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) processes: usize,
    pub(crate) report_id: Option<String>,
}

/// The row of `sides.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Sides {
    pub(crate) older: usize,
    pub(crate) newer: usize,
}

/// A row of `diff.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Differs {
    pub(crate) kind: Option<String>,
    pub(crate) lines: Option<Vec<Option<String>>>,
    pub(crate) idle: Option<bool>,
    pub(crate) older: usize,
    pub(crate) newer: usize,
    pub(crate) place_id: String,
}

/// A row of `outliers.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Outlier {
    pub(crate) differs: String,
    pub(crate) program: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) report_id: String,
    pub(crate) processes: usize,
    pub(crate) of: usize,
    pub(crate) what: Option<String>,
}

/// A row of `trend.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) begins_at: i64,
    pub(crate) processes: usize,
    pub(crate) hosts: usize,
    pub(crate) with_errors: usize,
    pub(crate) with_warnings: usize,
    pub(crate) threads: Option<f64>,
    pub(crate) most_threads: Option<usize>,
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) most_resident_bytes: Option<u64>,
    pub(crate) at_place: usize,
}

pub(crate) fn stacks(versions: &[Running], places: &[Waiting], parts: Parts, top: usize) -> Page {
    let mut page = heading(versions);
    let all = processes(versions);
    let parts = named(parts, &places.iter().take(top).map(|place| &*place.place_id).collect::<Vec<_>>());
    page.heading("Places");
    for place in places.iter().take(top) {
        let count = counted(place.count, noun(place.kind.as_deref()));
        let idle = if place.idle == Some(true) { ", waiting for work" } else { "" };
        let of = of(place.processes, all);
        let parts = parts.get(&*place.place_id).map(|parts| format!("; {}", list(parts))).unwrap_or_default();
        page.line(2, &format!("{of}: {count}{idle}{parts}{}", id(&place.place_id)));
        stack(&mut page, place.lines.as_deref());
    }
    end(&mut page, places.len(), top, "more place");
    page
}

pub(crate) fn findings(versions: &[Running], findings: &[Finding], top: usize) -> Page {
    let mut page = heading(versions);
    page.heading("Findings");
    for finding in findings.iter().take(top) {
        let severity = finding.severity.as_deref().unwrap_or("info");
        let message = finding.message.as_deref().unwrap_or_default();
        let certainty = match &*finding.certainty {
            "certain" => String::new(),
            certainty => format!(" ({certainty})"),
        };
        page.line(2, &format!("{severity}: {message}{certainty}"));
        let hosts = match finding.hosts {
            0 => String::new(),
            hosts => format!(" on {}", counted(hosts, "host")),
        };
        let differ = if finding.numbers_differ { " with other numbers" } else { "" };
        page.line(6, &format!("in {}{hosts}{differ}", of(finding.processes, processes(versions))));
    }
    end(&mut page, findings.len(), top, "more finding");
    page
}

pub(crate) fn diff(names: [&str; 2], sides: &Sides, places: &[Differs], top: usize) -> Page {
    let mut page = Page::default();
    let [older, newer] = names;
    page.line(0, &format!("{older}: {}", counted(sides.older, "process")));
    page.line(0, &format!("{newer}: {}", counted(sides.newer, "process")));
    page.heading("More or fewer at a place");
    for place in places.iter().take(top) {
        let (before, after) = (of(place.older, sides.older), of(place.newer, sides.newer));
        let idle = if place.idle == Some(true) { ", waiting for work" } else { "" };
        let what = noun(place.kind.as_deref());
        page.line(2, &format!("{before}, now {after}: {what}s{idle}{}", id(&place.place_id)));
        stack(&mut page, place.lines.as_deref());
    }
    end(&mut page, places.len(), top, "more place");
    page
}

pub(crate) fn outliers(outliers: &[Outlier], top: usize) -> Page {
    let mut page = Page::default();
    page.heading("Outliers");
    for outlier in outliers.iter().take(top) {
        let host = outlier.host.as_deref().unwrap_or("?");
        let name = name(outlier.program.as_deref(), outlier.version.as_deref());
        let what = outlier.what.as_deref().unwrap_or_default();
        let what = if outlier.differs == "place" {
            format!("at a place of {} of {}: {what}", number(outlier.processes), number(outlier.of))
        } else {
            what.to_owned()
        };
        page.line(2, &format!("{host}, {name}: {what}"));
        page.line(6, &format!("report {}", outlier.report_id));
    }
    end(&mut page, outliers.len(), top, "more row");
    page
}

/// The latest steps.
pub(crate) fn trend(steps: &[Step], has_place: bool, top: usize) -> Page {
    let mut page = Page::default();
    let mut headings = vec![
        "time",
        "processes",
        "hosts",
        "with errors",
        "with warnings",
        "threads, median",
        "most",
        "memory, median",
        "most",
    ];
    headings.extend(has_place.then_some("at the place"));
    let row = |step: &Step| {
        let mut row = vec![
            format_time(step.begins_at.saturating_mul(1_000), true),
            number(step.processes),
            number(step.hosts),
            number(step.with_errors),
            number(step.with_warnings),
            step.threads.map(|threads| number(whole(threads))).unwrap_or_default(),
            step.most_threads.map(number).unwrap_or_default(),
            step.resident_bytes
                .map(|median| bytes(u64::try_from(whole(median)).unwrap_or(u64::MAX)))
                .unwrap_or_default(),
            step.most_resident_bytes.map(bytes).unwrap_or_default(),
        ];
        row.extend(has_place.then(|| number(step.at_place)));
        row
    };
    let left_out = steps.len().saturating_sub(top);
    let headings: Vec<String> = headings.into_iter().map(str::to_owned).collect();
    page.table(&headings, &steps.iter().skip(left_out).map(row).collect::<Vec<_>>());
    page.more(left_out, "earlier step");
    page
}

/// Rows of a query, of so many.
pub(crate) fn table(names: &[String], rows: &[Vec<String>], count: usize) -> Page {
    let mut page = Page::default();
    page.table(names, rows);
    page.more(count - rows.len(), "more row");
    if count == 0 {
        page.line(2, "no rows");
    }
    page
}

/// `1,000 processes on 40 hosts: 880 shop 1.2, 120 shop 1.1`
fn heading(versions: &[Running]) -> Page {
    let mut page = Page::default();
    let hosts = match versions.first().map_or(0, |version| version.all_hosts) {
        // Their reports lack the section that says so.
        0 => String::new(),
        hosts => format!(" on {}", counted(hosts, "host")),
    };
    let named = versions.iter().map(|version| {
        format!(
            "{} {}",
            number(version.processes),
            name(version.program.as_deref(), version.version.as_deref())
        )
    });
    let named: Vec<String> = named.collect();
    page.line(0, &format!("{}{hosts}: {}", counted(processes(versions), "process"), list(&named)));
    page
}

pub(crate) fn processes(versions: &[Running]) -> usize {
    versions.iter().map(|version| version.processes).sum()
}

/// What to say of each of these places.
fn named(parts: Parts, places: &[&str]) -> HashMap<String, Vec<String>> {
    let mut named: HashMap<String, Vec<String>> = HashMap::new();
    let mut add = |place: String, text: String| {
        if places.contains(&&*place) {
            named.entry(place).or_default().push(text);
        }
    };
    match parts {
        Parts::None => {}
        Parts::Versions(rows) => {
            for OfVersion { place_id, program, version, processes, of, .. } in rows {
                let name = name(program.as_deref(), version.as_deref());
                add(place_id, format!("{} of {} {name}", number(processes), number(of)));
            }
        }
        Parts::Hosts(rows) => {
            for OfHost { place_id, host, processes } in rows {
                add(place_id, format!("{} {}", number(processes), host.as_deref().unwrap_or("?")));
            }
        }
    }
    named
}

/// The first of a list, and how many more there are.
fn list(all: &[String]) -> String {
    const MAX_NAMED: usize = 4;
    let mut named: Vec<String> = all.iter().take(MAX_NAMED).cloned().collect();
    if let Some(more) = all.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        named.push(format!("{} more", number(more)));
    }
    named.join(", ")
}

pub(crate) fn name(program: Option<&str>, version: Option<&str>) -> String {
    match (program.unwrap_or("?"), version) {
        (program, Some(version)) => format!("{program} {version}"),
        (program, None) => program.to_owned(),
    }
}

/// `812 of 1,000 processes`
pub(crate) fn of(part: usize, all: usize) -> String {
    format!("{} of {}", number(part), counted(all, "process"))
}

pub(crate) fn noun(kind: Option<&str>) -> &'static str {
    if kind == Some("task") { "task" } else { "thread" }
}

/// What is enough of an id.
fn id(place: &str) -> String {
    format!(" (place {})", place.chars().take(8).collect::<String>())
}

fn stack(page: &mut Page, lines: Option<&[Option<String>]>) {
    /// Enough to recognize it; JSON has all of it.
    const MAX_SHOWN: usize = 6;
    let lines = lines.unwrap_or_default();
    for line in lines.iter().take(MAX_SHOWN) {
        page.line(6, line.as_deref().unwrap_or("?"));
    }
    if let Some(more) = lines.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
        page.line(6, &format!("... {}", counted(more, "more frame")));
    }
}

fn end(page: &mut Page, count: usize, top: usize, noun: &str) {
    page.more(count.saturating_sub(top), noun);
    if count == 0 {
        page.line(2, "none");
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a median of what is not negative"
)]
fn whole(number: f64) -> usize {
    number.round().max(0.0) as usize
}
