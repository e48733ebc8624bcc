//! What a report says in words, the same in every view that a person reads. Whatever comes from data
//! has passed [`clean`](super::escape::clean) here: it can neither move a cursor nor pretend to be
//! another line.

mod findings;
mod frames;
mod report;
mod sections;
mod tasks;
mod threads;
mod values;

pub(super) use findings::{NO_FINDINGS, severity};
pub(super) use frames::{place, short_path};
pub(super) use report::{heading, summary};
pub(super) use sections::{failure, package, process};
#[cfg(feature = "html")]
pub(super) use tasks::task_state;
pub(super) use tasks::{described, tasks_facts, tasks_named, tasks_title, totals, untracked};
pub(super) use threads::{label, threads_facts, threads_title};
pub(super) use values::scalar;

/// A key and what stands behind it.
pub(super) type Field = (&'static str, String);
