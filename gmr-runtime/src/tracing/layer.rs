//! The layer: passes the subscriber's spans and events on to a recorder. It neither looks anything
//! up in the registry nor keeps anything there.

use std::sync::Arc;

use tracing_core::subscriber::{Interest, Subscriber};
use tracing_core::{Event, Level, LevelFilter, Metadata, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::recorder::Recorder;
use crate::sys::filtered_layer::{FilteredLayer, Record};

/// Makes a layer whose spans and events reports show.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(gmr_runtime::tracing::layer());
/// # drop(subscriber);
/// ```
///
/// It records spans at `DEBUG` and above and events at `INFO` and above. The
/// [module](crate::tracing) describes what reports show of them.
pub fn layer<S>() -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    of_recorder(Recorder::new())
}

/// A layer for this recorder.
pub(super) fn of_recorder<S>(recorder: Arc<Recorder>) -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let filtered = Opening(Arc::clone(&recorder)).with_filter(ByLevel);
    FilteredLayer { filtered, recorder }
}

/// Opens spans, and records events.
#[derive(Debug)]
struct Opening(Arc<Recorder>);

impl<S: Subscriber> Layer<S> for Opening {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, _: Context<'_, S>) {
        self.0.open(attributes, id);
    }

    fn on_follows_from(&self, id: &span::Id, follows: &span::Id, _: Context<'_, S>) {
        self.0.follow(id, follows);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.add(event);
    }
}

impl Record for Arc<Recorder> {
    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        Recorder::record(self, id, values);
    }

    fn enter(&self, id: &span::Id) {
        Recorder::enter(self, id);
    }

    fn leave(&self, id: &span::Id) {
        Recorder::leave(self, id);
    }

    fn close(&self, id: &span::Id) {
        Recorder::close(self, id);
    }
}

/// What is recorded.
#[derive(Debug)]
struct ByLevel;

impl ByLevel {
    /// tower-http's spans of requests are at this level.
    const SPANS: Level = Level::DEBUG;
    const EVENTS: Level = Level::INFO;

    fn enables(metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= if metadata.is_span() { Self::SPANS } else { Self::EVENTS }
    }
}

impl<S> Filter<S> for ByLevel {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::enables(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::enables(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(Self::SPANS.max(Self::EVENTS).into())
    }
}
