//! Shows a program's `tracing` spans and events in reports: which spans are open, and what was
//! logged last.
//!
//! Add the [`layer`] to your subscriber:
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! tracing_subscriber::registry()
//!     // .with(tracing_subscriber::fmt::layer())
//!     .with(gmr_runtime::tracing::layer())
//!     .init();
//! ```
//!
//! Reports then have two more sections:
//!
//! - **Spans in Flight**: the open spans with their fields, their age, how long threads were inside
//!   them, and which threads are inside now, since when and in which task. They are shown as a
//!   tree, oldest first. If many have the same name and place, the oldest are shown and the others
//!   are counted.
//! - **Recent Events**: the last 128 events at warn and above, and the last 128 others, with the
//!   span that each one was in.
//!
//! Green Threads says in which span a task waits: the innermost one that it has left in its last
//! poll, as instrumented futures do.
//!
//! Without the layer, these sections are missing. In a program that sets a subscriber without it,
//! Spans in Flight is one line that says how to add it. Add it once: a report shows the spans and
//! events of every layer, so those of a subscriber with two are shown twice.
//!
//! `GMR_SECTIONS=-spans-in-flight,-recent-events` leaves the sections out of the report, and
//! `Builder::sections` does the same for a program.
//!
//! # What is recorded
//!
//! Spans at `DEBUG` and above, which includes those of `#[instrument]` and of tower-http's
//! `TraceLayer`, and events at `INFO` and above. The layer filters only for itself: it does not
//! change what other layers receive. To record less, add another filter:
//! `gmr::tracing::layer().with_filter(..)`. If a filter for the whole subscriber, such as an
//! `EnvFilter` that is a layer of its own, disables a span or an event, reports do not show it
//! either.
//!
//! Values are formatted when they are recorded, on the thread that records them. They are truncated
//! to 320 bytes for each span, and 384 for each event; truncated values are marked as such. Secrets
//! are masked when a report is made, by key and by content, as in a section.
//!
//! A closed span is no longer shown. As with every layer, a span whose handle was dropped stays
//! open until its children are closed. Times are exact to a tick of the kernel's clock, about four
//! milliseconds. A shorter busy time can be off by a tick, but sums of many are exact on average.
//!
//! # Trace ids
//!
//! If a field `trace_id`, `otel.trace_id` or `traceparent` of a span or event contains a trace id
//! of OpenTelemetry, it is shown with that id, and so are the spans inside it. The ids that the
//! crate `tracing-opentelemetry` generates are not in fields. To show them, record them in one:
//! `span.record("trace_id", ..)`.
//!
//! # Harm and cost
//!
//! The layer keeps spans and events in its own memory and takes no locks: no thread waits for
//! another one or for a report. It uses a fixed 300 KB, which has room for about 200 open spans,
//! and 450 bytes for each further one, in pieces of 115 KB. There is room for about 60,000. Reports
//! say how many spans did not fit, and how many events are missing. The memory stays allocated
//! until the layer is dropped.
//!
//! A forked child shows the spans and events of its parent, and says how many they are. Of the
//! threads, it has only the one that called `fork`, so no other one is shown inside a span.

mod callsites;
mod clock;
mod entered;
mod fields;
mod inside;
mod layer;
#[cfg(all(test, gmr_loom))]
mod loom_tests;
mod open_spans;
mod recent;
mod recorder;
pub(crate) mod report;
mod seqlock;
mod set_once;
mod sync;
#[cfg(all(test, not(gmr_loom)))]
pub(crate) mod tests;

pub(crate) use fields::Fields;
pub use layer::layer;
pub(crate) use recorder::{Events, Locked, OpenSpan, RecentEvent, Spans, events, is_in_use, spans};
