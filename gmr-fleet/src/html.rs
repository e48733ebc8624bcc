//! The page of all processes: self-contained, readable without JavaScript, in the style of a report's
//! page. The template library escapes all data, and what is invisible is made visible before that.
//! Nothing of a report becomes markup, an address, or a part of the script.

use std::collections::{BTreeSet, HashMap};

use gmr_runtime::__cli::{FLAME_SCRIPT, Flame, STYLE, printable};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::args::is_id;
use crate::output::{counted, number};
use crate::shown::{Finding, FindingOfVersion, OfVersion, Running, Waiting, name, noun, of, processes};

const OWN_STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The most versions that are side by side: those of most processes.
const MAX_VERSIONS: usize = 4;

/// The most frames of a place.
const MAX_FRAMES: usize = 40;

/// What the page is made of: rows of answers.
pub(crate) struct All {
    pub(crate) versions: Vec<Running>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) findings_by_version: Vec<FindingOfVersion>,
    pub(crate) places: Vec<Waiting>,
    pub(crate) places_by_version: Vec<OfVersion>,
    /// The reports that have a page.
    pub(crate) reports: BTreeSet<String>,
    /// The most findings and places that are shown.
    pub(crate) top: usize,
}

impl All {
    /// A finding in each version that has it.
    pub(crate) fn of_finding<'a>(
        &'a self,
        finding: &'a Finding,
    ) -> impl Iterator<Item = &'a FindingOfVersion> + use<'a> {
        self.findings_by_version.iter().filter(move |row| {
            row.said == finding.said
                && row.code == finding.code
                && row.severity == finding.severity
                && row.certainty == finding.certainty
        })
    }

    /// A place in each version that has it.
    pub(crate) fn of_place<'a>(
        &'a self,
        place: &'a Waiting,
    ) -> impl Iterator<Item = &'a OfVersion> + use<'a> {
        self.places_by_version.iter().filter(move |row| row.place_id == place.place_id)
    }

    fn processes(&self) -> usize {
        processes(&self.versions)
    }

    fn of_version(&self, program: Option<&str>, version: Option<&str>) -> usize {
        let is_it = |running: &&Running| {
            running.program.as_deref() == program && running.version.as_deref() == version
        };
        self.versions.iter().find(is_it).map_or(0, |running| running.processes)
    }

    /// A link to the page of a report, if it has one.
    fn link(&self, report: Option<&str>, text: &str) -> Markup {
        html! {
            @match report.filter(|id| self.reports.contains(*id)) {
                Some(id) => { a href={ "reports/" (id) ".html" } { (text) } }
                None => { (text) }
            }
        }
    }
}

pub(crate) fn page(all: &All) -> String {
    let flame = flame(&all.places);
    let title = counted(all.processes(), "process");
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Guru Meditation: " (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(OWN_STYLE)) }
            }
            body {
                header {
                    div.meditation { p { "Guru Meditation" } h1 { (title) } }
                    (heading(all))
                }
                main {
                    nav aria-label="Contents" {
                        details #contents open {
                            summary { "Contents" }
                            a href="#findings" { "Findings " span.count { (all.findings.len()) } }
                            @if all.versions.len() > 1 { a href="#versions" { "Versions side by side" } }
                            @if flame.is_some() { a href="#stacks" { "All stacks" } }
                            a href="#places" { "Places " span.count { (all.places.len()) } }
                        }
                    }
                    section #findings { h2 { "Findings" } (findings(all)) }
                    @if all.versions.len() > 1 {
                        section #versions { h2 { "Versions side by side" } (versions(all)) }
                    }
                    @if let Some(flame) = &flame {
                        section #stacks { h2 { "All stacks" } (PreEscaped(flame)) }
                    }
                    section #places { h2 { "Places" } (places(all)) }
                }
                footer { p { "Of each process, the latest report counts." } }
                script { (PreEscaped(SCRIPT)) (PreEscaped(FLAME_SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

fn heading(all: &All) -> Markup {
    let hosts = all.versions.first().map_or(0, |version| version.all_hosts);
    html! {
        dl {
            @if hosts > 0 { div { dt { "hosts" } dd { (number(hosts)) } } }
            @for version in &all.versions {
                div {
                    dt { (number(version.processes)) }
                    dd { (printable(&name(version.program.as_deref(), version.version.as_deref()))) }
                }
            }
        }
    }
}

fn findings(all: &All) -> Markup {
    html! {
        @if all.findings.is_empty() { p { "none" } }
        ul.findings {
            @for finding in all.findings.iter().take(all.top) {
                @let severity = severity(finding.severity.as_deref());
                li class=(severity) {
                    span.severity { (severity) } " "
                    (printable(finding.message.as_deref().unwrap_or_default()))
                    @if finding.certainty != "certain" { " (" (printable(&finding.certainty)) ")" }
                    div.evidence {
                        "in " (of(finding.processes, all.processes()))
                        @if finding.hosts > 0 { " on " (counted(finding.hosts, "host")) }
                        @if finding.numbers_differ { " with other numbers" }
                    }
                    @for row in all.of_finding(finding).take(MAX_VERSIONS) {
                        @let (program, version) = (row.program.as_deref(), row.version.as_deref());
                        div.evidence {
                            (printable(&name(program, version))) ": "
                            (of(row.processes, all.of_version(program, version))) " "
                            (example(all, row.report_id.as_deref()))
                        }
                    }
                }
            }
        }
        (more(all.findings.len(), all.top, "more finding"))
    }
}

/// It becomes a class.
fn severity(severity: Option<&str>) -> &'static str {
    match severity {
        Some("error") => "error",
        Some("warning") => "warning",
        _ => "info",
    }
}

fn example(all: &All, report: Option<&str>) -> Markup {
    html! {
        @if report.is_some_and(|id| all.reports.contains(id)) { "(" (all.link(report, "a report")) ")" }
    }
}

/// A row of versions side by side: what it is about, and in each version how many processes have it,
/// with one of their reports.
struct Beside<'a> {
    about: Markup,
    cells: Vec<(usize, Option<&'a str>)>,
}

/// The findings and places in which versions differ, the greatest differences first.
fn versions(all: &All) -> Markup {
    let shown: Vec<&Running> = all.versions.iter().take(MAX_VERSIONS).collect();
    let mut rows: Vec<Beside<'_>> = Vec::new();
    for finding in &all.findings {
        let found: HashMap<_, _> = all
            .of_finding(finding)
            .map(|row| ((&row.program, &row.version), (row.processes, row.report_id.as_deref())))
            .collect();
        let severity = severity(finding.severity.as_deref());
        let about = html! {
            span class={ "severity " (severity) } { (severity) } " " (printable(finding.message.as_deref().unwrap_or_default()))
        };
        rows.push(Beside { about, cells: beside(&shown, &found) });
    }
    for place in all.places.iter().filter(|place| place.idle != Some(true)) {
        let found: HashMap<_, _> = all
            .of_place(place)
            .map(|row| ((&row.program, &row.version), (row.processes, row.report_id.as_deref())))
            .collect();
        rows.push(Beside { about: place_link(all, place), cells: beside(&shown, &found) });
    }
    let difference = |row: &Beside<'_>| {
        let shares = row
            .cells
            .iter()
            .zip(&shown)
            .map(|((processes, _), version)| permille(*processes, version.processes));
        let (least, most) =
            shares.fold((1_000, 0), |(least, most), share| (share.min(least), share.max(most)));
        most.saturating_sub(least)
    };
    rows.retain(|row| difference(row) > 0);
    rows.sort_by_key(|row| std::cmp::Reverse(difference(row)));
    html! {
        p.note {
            "What not all versions have to the same part, the greatest differences first. The numbers are processes."
            @if all.versions.len() > MAX_VERSIONS {
                " Shown are the " (MAX_VERSIONS) " of " (all.versions.len()) " versions with most of them."
            }
        }
        @if rows.is_empty() { p { "none" } } @else {
            table {
                tr {
                    th scope="col" { "" }
                    @for version in &shown {
                        th scope="col" { (printable(&name(version.program.as_deref(), version.version.as_deref()))) }
                    }
                }
                @for row in rows.iter().take(all.top) {
                    tr {
                        th scope="row" { (row.about) }
                        @for ((processes, report), version) in row.cells.iter().zip(&shown) {
                            td {
                                @let share = percent(permille(*processes, version.processes));
                                (all.link(*report, &format!("{} of {}", number(*processes), number(version.processes))))
                                " " span.count { (share) }
                            }
                        }
                    }
                }
            }
            (more(rows.len(), all.top, "more row"))
        }
    }
}

type OfEach<'a> = HashMap<(&'a Option<String>, &'a Option<String>), (usize, Option<&'a str>)>;

fn beside<'a>(shown: &[&Running], found: &OfEach<'a>) -> Vec<(usize, Option<&'a str>)> {
    let of =
        |version: &&Running| found.get(&(&version.program, &version.version)).copied().unwrap_or((0, None));
    shown.iter().map(of).collect()
}

fn places(all: &All) -> Markup {
    html! {
        p.note { "Where threads and tasks wait: those in most processes first, and threads of pools that wait for work last." }
        @for place in all.places.iter().take(all.top) {
            details.group id=[anchor(place)] {
                summary {
                    span.title { (printable(&label(place))) } " "
                    span.where { (of(place.processes, all.processes())) ": " (counted(place.count, noun(place.kind.as_deref()))) }
                    @if place.idle == Some(true) { i { "waiting for work" } }
                }
                p {
                    @for (index, row) in all.of_place(place).take(MAX_VERSIONS).enumerate() {
                        @if index > 0 { ", " }
                        (number(row.processes)) " of " (number(row.of)) " "
                        (printable(&name(row.program.as_deref(), row.version.as_deref()))) " "
                        (example(all, row.report_id.as_deref()))
                    }
                }
                @let lines = place.lines.as_deref().unwrap_or_default();
                ol.stack {
                    @for line in lines.iter().take(MAX_FRAMES) { li { (printable(line.as_deref().unwrap_or("?"))) } }
                    @if lines.len() > MAX_FRAMES { li { i { (counted(lines.len() - MAX_FRAMES, "more frame")) } } }
                }
            }
        }
        (more(all.places.len(), all.top, "more place"))
    }
}

/// The first functions of a place that are not those of the standard libraries, innermost first, or
/// else the innermost one.
fn label(place: &Waiting) -> String {
    const MAX: usize = 3;
    let names = place.functions.iter().flatten().flatten().map(String::as_str);
    let is_of_std = |name: &str| {
        let path = name.trim_start_matches(['<', '&']);
        !name.contains("::") || ["std::", "core::", "alloc::"].iter().any(|of_std| path.starts_with(of_std))
    };
    let of_program: Vec<&str> = names.clone().filter(|name| !is_of_std(name)).take(MAX).collect();
    match &of_program[..] {
        [] => names.clone().next().unwrap_or("?").to_owned(),
        names => names.join(" < "),
    }
}

/// What an id of a place is in the page. Anybody can have written the tables.
fn anchor(place: &Waiting) -> Option<String> {
    is_id(&place.place_id).then(|| format!("place-{}", place.place_id))
}

/// To the place below, if it is there.
fn place_link(all: &All, place: &Waiting) -> Markup {
    let is_shown = all.places.iter().take(all.top).any(|shown| shown.place_id == place.place_id);
    html! {
        (noun(place.kind.as_deref())) "s at "
        @match anchor(place).filter(|_| is_shown) {
            Some(anchor) => { a href={ "#" (anchor) } { (printable(&label(place))) } }
            None => { (printable(&label(place))) }
        }
    }
}

fn flame(places: &[Waiting]) -> Option<String> {
    let mut flame = Flame::default();
    for place in places {
        let functions = place.functions.as_deref().unwrap_or_default().iter().rev();
        let names = functions.map(|function| function.as_deref().unwrap_or("?"));
        flame.add(
            if noun(place.kind.as_deref()) == "task" { "tasks" } else { "threads" },
            names,
            place.count,
        );
    }
    flame.draw()
}

fn more(count: usize, top: usize, noun: &str) -> Markup {
    html! {
        @if count > top { p.note { (counted(count - top, noun)) "; --top shows more" } }
    }
}

fn permille(part: usize, all: usize) -> usize {
    part.saturating_mul(1_000) / all.max(1)
}

/// `81.2 %`
fn percent(permille: usize) -> String {
    match (permille / 10, permille % 10) {
        (whole, 0) => format!("{whole} %"),
        (whole, tenth) => format!("{whole}.{tenth} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\"'><script>alert(1)</script>\u{202e}";

    /// Rows as somebody could have written them who does not write reports, but tables.
    #[test]
    fn no_column_becomes_markup() {
        let running =
            |version| Running { program: Some(HOSTILE.to_owned()), version, processes: 2, all_hosts: 2 };
        let of_version = |version| OfVersion {
            place_id: HOSTILE.to_owned(),
            program: Some(HOSTILE.to_owned()),
            version,
            processes: 1,
            of: 2,
            report_id: Some(HOSTILE.to_owned()),
        };
        let finding = Finding {
            code: Some(HOSTILE.to_owned()),
            said: Some(HOSTILE.to_owned()),
            severity: Some(HOSTILE.to_owned()),
            certainty: HOSTILE.to_owned(),
            message: Some(HOSTILE.to_owned()),
            numbers_differ: true,
            processes: 1,
            hosts: 1,
        };
        let finding_of_version = FindingOfVersion {
            code: Some(HOSTILE.to_owned()),
            said: Some(HOSTILE.to_owned()),
            severity: Some(HOSTILE.to_owned()),
            certainty: HOSTILE.to_owned(),
            program: Some(HOSTILE.to_owned()),
            version: Some(HOSTILE.to_owned()),
            processes: 1,
            report_id: Some(HOSTILE.to_owned()),
        };
        let place = Waiting {
            kind: Some(HOSTILE.to_owned()),
            functions: Some(vec![Some(HOSTILE.to_owned()), None]),
            lines: Some(vec![Some(HOSTILE.to_owned()), None]),
            idle: None,
            processes: 1,
            count: 7,
            place_id: HOSTILE.to_owned(),
        };
        let all = All {
            versions: vec![running(Some(HOSTILE.to_owned())), running(None)],
            findings: vec![finding],
            findings_by_version: vec![finding_of_version],
            places: vec![place],
            places_by_version: vec![of_version(Some(HOSTILE.to_owned())), of_version(None)],
            reports: BTreeSet::new(),
            top: 10,
        };
        let page = page(&all);
        let count = |what: &str| page.matches(what).count();
        assert_eq!(
            (count("<script"), count("</script"), count("<style"), count("href=\"reports")),
            (1, 1, 1, 0)
        );
        assert!(!page.contains('\u{202e}') && page.contains("&lt;script&gt;alert(1)"), "{page}");
        // Of no version is it the same, so that there is nothing side by side but the finding.
        assert_eq!(count("<th scope=\"row\">"), 1, "{page}");
        assert_eq!(count("1 of 2 processes"), 1, "{page}");
    }

    #[test]
    fn an_anchor_is_an_id() {
        let place = |id: &str| Waiting {
            kind: None,
            functions: None,
            lines: None,
            idle: None,
            processes: 1,
            count: 1,
            place_id: id.to_owned(),
        };
        let id = "0123456789abcdef".repeat(2);
        assert_eq!(anchor(&place(&id)), Some(format!("place-{id}")));
        assert_eq!(anchor(&place("' onclick=x")), None);
        assert_eq!(label(&place(&id)), "?");
    }

    #[test]
    fn shares_are_in_percent() {
        let shares = [(0, 3), (1, 3), (3, 3), (1, 0)].map(|(part, all)| percent(permille(part, all)));
        assert_eq!(shares, ["0 %", "33.3 %", "100 %", "100 %"].map(str::to_owned));
    }
}
