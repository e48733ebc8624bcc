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
//! - **Spans in Flight**: each open span with its fields, its age, how long threads were inside of
//!   it, and which thread or task is inside now. Spans are a tree, oldest first. Where many have the
//!   same name and place, the oldest ones are shown, and the others are counted.
//! - **Recent Events**: the last 128 events at warn and above, and the last 128 others, with the
//!   span that each one was in.
//!
//! Without the layer, there are no such sections. In a program that sets a subscriber without it,
//! one line says how to add it.
//!
//! # What is recorded
//!
//! Spans at `DEBUG` and above, which includes those of `#[instrument]` and of tower-http's
//! `TraceLayer`, and events at `INFO` and above. The layer filters for itself: it neither enables
//! nor disables anything for other layers. To record less, wrap it with another filter:
//! `gmr::tracing::layer().with_filter(..)`. If a filter for the whole subscriber, such as an
//! `EnvFilter` that is a layer of its own, disables a span or an event, reports do not show it
//! either.
//!
//! Values are formatted when they are recorded, on the thread that records them, and kept up to a
//! length: 320 bytes for a span, 384 for an event. What was cut says so. Secrets are masked when a
//! report is made, by key and by content, as in a section.
//!
//! A span that is closed is gone. As with every layer, a span whose handle was dropped is open until
//! its children are closed. Times are exact to the tick of the kernel's clock, about four
//! milliseconds; busy times below that are exact on average.
//!
//! # Trace ids
//!
//! A span or event with a field `trace_id`, `otel.trace_id` or `traceparent` that contains a trace
//! id of OpenTelemetry is shown with it, and so are the spans inside of it. The ids that the crate
//! `tracing-opentelemetry` generates are not in fields. To show them, record them in one:
//! `span.record("trace_id", ..)`.
//!
//! # Harm and cost
//!
//! The layer keeps spans and events in memory of its own and takes no locks: no thread waits for
//! another one or for a report. It uses a fixed 300 KB, and 400 bytes for each further open span, up
//! to 65,280 spans. Reports say how many more there were, and how many events they miss.

mod callsites;
mod clock;
mod entered;
mod fields;
mod layer;
#[cfg(all(test, gmr_loom))]
mod loom_tests;
mod open_spans;
mod recent;
mod recorder;
mod seqlock;
mod set_once;
mod sync;
#[cfg(all(test, not(gmr_loom)))]
pub(crate) mod tests;

pub(crate) use fields::Fields;
pub use layer::layer;
pub(crate) use recorder::{OpenSpan, RecentEvent, events, has_layer, is_in_use, spans};
