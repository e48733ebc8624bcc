//! A comparison as text. It compares nothing.

use gmr_runtime::__cli::{bytes, duration};

use super::compare::{Changed, Comparison, Figure, Findings, RESIDENT, SWAPPED, WithoutStack};
use crate::output::{Page, as_u64, counted, number};
use crate::places::stack;

/// At most `top` places of each list.
pub(super) fn page(comparison: &Comparison, top: usize) -> Page {
    let mut page = Page::new();
    for (name, side) in [("older", &comparison.older), ("newer", &comparison.newer)] {
        page.line(0, &format!("{name}: report {} of {}, {}", side.number, side.process, side.made_at));
    }
    if !comparison.same_process {
        page.line(0, "These are not known to be of the same process: only how many are at each place is");
        page.line(0, "compared.");
    }
    findings(&mut page, &comparison.findings);
    if comparison.same_process {
        same_place(&mut page, comparison, top);
    }
    changed(&mut page, &comparison.places, top);
    without_stack(&mut page, &comparison.without_stack);
    figures(&mut page, &comparison.figures);
    page
}

fn findings(page: &mut Page, findings: &Findings) {
    let Findings { new, in_both, gone } = findings;
    page.heading("Findings");
    for (what, findings) in [("new", new), ("in both", in_both), ("gone", gone)] {
        for finding in findings {
            finding.show(page, &format!("{what}: "));
        }
    }
    if new.len() + in_both.len() + gone.len() == 0 {
        page.line(2, "none in either report");
    }
}

fn same_place(page: &mut Page, comparison: &Comparison, top: usize) {
    page.heading("Same place in both: the same stack, no poll, and no processor time counted between them");
    for group in comparison.same_place.iter().take(top) {
        let count = counted(as_u64(group.ids.len()), group.kind.noun());
        let idle = if group.idle { ", waiting for work" } else { "" };
        page.line(2, &format!("{count}{idle}: {}", ids(&group.ids)));
        stack(page, &group.stack);
    }
    page.more(comparison.same_place.len().saturating_sub(top), "more place");
    if comparison.same_place.is_empty() {
        page.line(2, "none");
    }
}

fn changed(page: &mut Page, places: &[Changed], top: usize) {
    page.heading("More or fewer at a place");
    for place in places.iter().take(top) {
        let Changed { kind, older, newer, .. } = place;
        let what = match (older, newer) {
            (0, _) => " (new)",
            (_, 0) => " (gone)",
            _ => "",
        };
        page.line(2, &format!("{} -> {}{what}", number(*older), counted(*newer, kind.noun())));
        stack(page, &place.stack);
    }
    page.more(places.len().saturating_sub(top), "more place");
    if places.is_empty() {
        page.line(2, "none");
    }
}

fn without_stack(page: &mut Page, rows: &[WithoutStack]) {
    for WithoutStack { kind, older, newer } in rows {
        let count = counted(*newer, kind.noun());
        page.line(2, &format!("without a stack, and so not compared: {} -> {count}", number(*older)));
    }
}

fn figures(page: &mut Page, figures: &[Figure]) {
    page.heading("Resources");
    for Figure { name, older, newer } in figures {
        let shown = |figure: u64| match *name {
            RESIDENT | SWAPPED => bytes(figure),
            _ if name.ends_with("_ms") => duration(figure),
            _ => number(figure),
        };
        let name = name.trim_end_matches("_bytes").trim_end_matches("_ms").replace('_', " ");
        page.line(2, &format!("{name}: {} -> {}", shown(*older), shown(*newer)));
    }
    if figures.is_empty() {
        page.line(2, "not in both reports");
    }
}

/// `#12, #15, #16 and 300 more`
fn ids(ids: &[u64]) -> String {
    const MAX_NAMED: usize = 8;
    let named: Vec<String> = ids.iter().take(MAX_NAMED).map(|id| format!("#{id}")).collect();
    match ids.len().saturating_sub(MAX_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {} more", named.join(", "), number(as_u64(more))),
    }
}
