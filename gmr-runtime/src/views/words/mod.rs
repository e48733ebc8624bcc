//! The wording that text and HTML share. Data is escaped here by [`clean`](super::escape::clean),
//! so that it can neither move the cursor nor pass for another line of the report.

mod findings;
mod frames;
mod listings;
#[cfg(feature = "html")]
mod locks;
mod notes;
mod report;
mod resources;
mod sections;
mod tasks;
mod threads;
mod tracing;
mod values;
mod waits;

#[cfg(feature = "html")]
pub(super) use findings::evidence;
pub(super) use findings::{NO_FINDINGS, finding, finding_details, severity};
pub(super) use frames::{Body, function, is_inlined, omitted, own_function, place};
pub(super) use listings::{Listing, descriptors, environment, modules};
#[cfg(feature = "html")]
pub(super) use locks::{holds, lock};
pub(super) use notes::notes;
pub(super) use report::{heading, summary};
pub(super) use resources::resources;
pub(super) use sections::{depth, failure, package, processes};
#[cfg(feature = "html")]
pub(super) use tasks::member;
#[cfg(feature = "html")]
pub(super) use tasks::task_state;
pub(super) use tasks::{
    missing_of_tasks, runtimes, tasks_facts, tasks_named, tasks_title, totals, untracked,
};
pub(super) use threads::{in_one_line, label, pool_thread, threads_facts, threads_named, threads_title};
#[cfg(feature = "html")]
pub(super) use threads::{thread_states, threads_summary};
pub(super) use tracing::{
    SpanLine, event, event_place, kept_events, open_spans, span_facts, span_group, span_lines, span_title,
};
pub(super) use values::scalar;

/// A key and its value.
pub(super) type Field = (&'static str, String);
