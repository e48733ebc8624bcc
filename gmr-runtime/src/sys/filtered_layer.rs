//! A layer of `tracing` with a filter of its own, which is not asked again for each span that is
//! entered and left.
//!
//! `Filtered` looks each span up in the registry before it passes a call on, which takes longer
//! than recording the call. Here, only what opens spans and what logs passes through it; the rest
//! is recorded directly. The subscriber must still see a filtered layer, or it would enable
//! everything for it, and it asks for that by `downcast_raw`, which is unsafe.
#![allow(unsafe_code)]

use std::any::TypeId;

use tracing_core::subscriber::{Interest, Subscriber};
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Records what happens to open spans. Ignores spans that it does not know.
pub(crate) trait Record: 'static {
    fn record(&self, id: &span::Id, values: &span::Record<'_>);
    fn enter(&self, id: &span::Id);
    fn leave(&self, id: &span::Id);
    fn close(&self, id: &span::Id);
}

/// The filtered part, and what records the rest.
#[derive(Debug)]
pub(crate) struct FilteredLayer<L, R> {
    pub(crate) filtered: L,
    pub(crate) recorder: R,
}

impl<S: Subscriber, L: Layer<S>, R: Record> Layer<S> for FilteredLayer<L, R> {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.filtered.on_register_dispatch(subscriber);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.filtered.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.filtered.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.filtered.enabled(metadata, context)
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.filtered.event_enabled(event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.filtered.max_level_hint()
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        self.filtered.on_new_span(attributes, id, context);
    }

    fn on_follows_from(&self, id: &span::Id, follows: &span::Id, context: Context<'_, S>) {
        self.filtered.on_follows_from(id, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.filtered.on_event(event, context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        self.recorder.record(id, values);
    }

    fn on_enter(&self, id: &span::Id, _: Context<'_, S>) {
        self.recorder.enter(id);
    }

    fn on_exit(&self, id: &span::Id, _: Context<'_, S>) {
        self.recorder.leave(id);
    }

    fn on_close(&self, id: span::Id, _: Context<'_, S>) {
        self.recorder.close(&id);
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        // SAFETY: the caller expects a pointer to a value of the type `id`, valid for as long as
        // `self`, or `None`. The filtered layer returns one that is valid for as long as itself,
        // and it is a part of `self`.
        unsafe { self.filtered.downcast_raw(id) }
    }
}
