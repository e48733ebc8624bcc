//! `section.failed`: a section or a configuration group whose generator failed.

use super::facts::{Facts, finding};
use crate::model::{Content, Finding, Severity};
use crate::units::{duration, limit};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for section in facts.sections {
        let mut check = |title: &str, content: &Content| {
            let Some(failure) = failure(content) else { return };
            let message = format!("{title} {failure}");
            let next = match content {
                Content::TimedOut(_) | Content::StillRunning(_) => {
                    Some("the stack of that thread".to_owned())
                }
                _ => None,
            };
            let section = Some(section.title.clone());
            findings.push(Finding { section, next, ..finding("section.failed", Severity::Error, message) });
        };
        match &section.content {
            Content::Configuration(groups) => {
                for group in groups {
                    check(&group.title, &group.content);
                }
            }
            content => check(&section.title, content),
        }
    }
    findings
}

/// How a section failed, as a predicate. `None` if it did not.
fn failure(content: &Content) -> Option<String> {
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Some(match content {
        Content::Error(message) => format!("failed: {}", first_line(message)),
        Content::Panicked(panicked) => {
            let place = panicked.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
            format!("panicked{place}: {}", first_line(&panicked.message))
        }
        Content::TimedOut(late) => {
            let (after, tid) = (limit(late.deadline_ms), late.overdue.tid);
            format!("timed out after {after}; still running on thread #{tid}")
        }
        Content::StillRunning(overdue) => {
            let (time, tid) = (duration(overdue.running_ms), overdue.tid);
            format!("was skipped: still running from an earlier report ({time}, thread #{tid})")
        }
        Content::Skipped(reason) => format!("was skipped: {}", first_line(reason)),
        Content::Package(_)
        | Content::Resources(_)
        | Content::Threads(_)
        | Content::GreenThreads(_)
        | Content::Processes(_)
        | Content::Descriptors(_)
        | Content::Modules(_)
        | Content::Environment(_)
        | Content::Spans(_)
        | Content::Events(_)
        | Content::Configuration(_)
        | Content::Fields(_)
        | Content::Text(_)
        | Content::Nothing => return None,
    })
}
