//! Findings as text. What is wrong is on the first screen: if the details of findings would push
//! others off it, all sentences come first, and the details after them.

use std::fmt::Write as _;

use super::layout::{Flush, title};
use crate::model::{Finding, Frame};
use crate::views::room::{Room, not_shown};
use crate::views::words;

pub(super) const TITLE: &str = "Findings";

/// What a finding's evidence is indented by.
const EVIDENCE: &str = "    ";

/// What is left of a small terminal, of 24 lines, after the heading of a report and this title.
const LINES: usize = 11;
/// The width of a small terminal. A longer line takes several.
const COLUMNS: usize = 80;

/// The findings, or a line that there are none.
pub(super) fn write(
    text: &mut String,
    findings: &[Finding],
    frames: &[Frame],
    room: &Room,
    flush: &mut Flush<'_>,
) {
    text.push_str(&title(TITLE));
    room.begin_section();
    if findings.is_empty() {
        let _ = writeln!(text, "{}", words::NO_FINDINGS);
    }
    if findings.len() < 2 || fit_on_a_screen(findings, frames) {
        each(text, findings, room, |text, finding| {
            line(text, &sentence(finding), room, flush);
            details(text, finding, frames, room, flush);
        });
    } else {
        each(text, findings, room, |text, finding| line(text, &sentence(finding), room, flush));
        text.push('\n');
        each(text, findings, room, |text, finding| {
            if has_details(finding) {
                line(text, &words::finding(finding), room, flush);
                details(text, finding, frames, room, flush);
            }
        });
    }
    text.push('\n');
}

/// `error: deadlock: ..`
fn sentence(finding: &Finding) -> String {
    format!("{}: {}", words::severity(finding.severity), words::finding(finding))
}

fn has_details(finding: &Finding) -> bool {
    !finding.evidence.is_empty() || finding.next.is_some()
}

/// Whether they do with all their details.
fn fit_on_a_screen(findings: &[Finding], frames: &[Frame]) -> bool {
    let all = findings.iter().flat_map(|finding| {
        let details = words::finding_details(finding, frames).map(|detail| format!("{EVIDENCE}{detail}"));
        [sentence(finding)].into_iter().chain(details)
    });
    // Of more lines than fit, the first ones tell.
    let lines = all.take(LINES + 1).map(|line| line.chars().count().div_ceil(COLUMNS));
    lines.sum::<usize>() <= LINES
}

fn each(text: &mut String, findings: &[Finding], room: &Room, mut show: impl FnMut(&mut String, &Finding)) {
    for (index, finding) in findings.iter().enumerate() {
        if !room.take_row() {
            let _ = writeln!(text, "{}", not_shown(findings.len() - index, "finding"));
            break;
        }
        show(text, finding);
    }
}

fn line(text: &mut String, line: &str, room: &Room, flush: &mut Flush<'_>) {
    room.spend(line.len());
    let _ = writeln!(text, "{line}");
    flush(text);
}

fn details(text: &mut String, finding: &Finding, frames: &[Frame], room: &Room, flush: &mut Flush<'_>) {
    let mut details = words::finding_details(finding, frames);
    while let Some(detail) = details.next() {
        if !room.take(detail.len()) {
            let _ = writeln!(text, "{EVIDENCE}{}", not_shown(1 + details.count(), "line"));
            break;
        }
        let _ = writeln!(text, "{EVIDENCE}{detail}");
        flush(text);
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;
    use crate::model::{Certainty, Evidence, Severity};
    use crate::views::room::MAX_TEXT;

    fn finding(number: usize, evidence: usize) -> Finding {
        let evidence = (0..evidence)
            .map(|line| Evidence { message: format!("{number} was seen at {line}"), ..Evidence::default() });
        Finding {
            code: String::new(),
            severity: Severity::Warning,
            message: format!("till {number} is empty"),
            threads: Vec::new(),
            tasks: Vec::new(),
            section: None,
            certainty: Certainty::Certain,
            evidence: evidence.collect(),
            next: None,
        }
    }

    fn shown(all: &[Finding]) -> String {
        let mut text = String::new();
        write(&mut text, all, &[], &Room::new(MAX_TEXT), &mut |_| ());
        text.lines().skip(3).map(|line| line.to_owned() + "\n").collect()
    }

    #[test]
    fn details_follow_their_finding_if_all_fit_on_a_screen() {
        let all = [finding(1, 5), finding(2, 4)];
        assert!(shown(&all).starts_with("warning: till 1 is empty\n    1 was seen at 0\n"));
        let alone = [finding(1, 50)];
        assert!(shown(&alone).starts_with("warning: till 1 is empty\n    1 was seen at 0\n"));
    }

    #[test]
    fn otherwise_all_sentences_come_first() {
        let all = [finding(1, 5), finding(2, 0), finding(3, 5)];
        let expected = "warning: till 1 is empty\nwarning: till 2 is empty\nwarning: till 3 is empty\n\n\
            till 1 is empty\n    1 was seen at 0\n";
        let text = shown(&all);
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("\ntill 3 is empty\n    3 was seen at 0\n    3 was seen at 1\n    3 was seen at 2\n    3 was seen at 3\n    3 was seen at 4\n\n"), "{text}");
        // A long line takes several of a terminal.
        let mut long = [finding(1, 1), finding(2, 0)];
        long[0].evidence[0].message = "x".repeat(700);
        assert!(shown(&long).starts_with("warning: till 1 is empty\n    x"));
        long[0].evidence[0].message = "x".repeat(720);
        assert!(shown(&long).starts_with("warning: till 1 is empty\nwarning: till 2 is empty\n"));
    }
}
