//! `task.workers-blocked`: all workers of a runtime sleep inside polls, so that none of its tasks
//! runs.

use super::facts::{Facts, MAX_EVIDENCE, finding};
use super::polls;
use crate::model::{Certainty, Finding, Severity};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    polls::blocked_runtimes(facts)
        .into_iter()
        .map(|(runtime, polls)| {
            let workers = match runtime.workers {
                1 => "the only worker of a runtime is".to_owned(),
                workers => format!("all {workers} workers of a runtime are"),
            };
            let message =
                format!("{workers} blocked inside polls ({}): none of its tasks runs", runtime.kind);
            let evidence = polls.iter().take(MAX_EVIDENCE).filter_map(|poll| {
                let mut evidence = poll.evidence(facts)?;
                evidence.message =
                    format!("task #{} ({}): {}", poll.task.id, poll.task.name, evidence.message);
                Some(evidence)
            });
            Finding {
                threads: polls.iter().map(|poll| poll.tid).collect(),
                tasks: polls.iter().map(|poll| poll.task.id).collect(),
                certainty: polls.iter().map(|poll| poll.certainty).max().unwrap_or(Certainty::Certain),
                evidence: evidence.collect(),
                next: Some("the calls that the workers wait in".to_owned()),
                ..finding("task.workers-blocked", Severity::Error, message)
            }
        })
        .collect()
}
