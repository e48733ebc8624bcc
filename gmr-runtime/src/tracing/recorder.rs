//! What one layer has recorded, and the recorders of this process. Layers write, and reports read.
//! Nothing here formats a value or decides what is shown.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tracing_core::{Event, Level, Metadata, span};

use super::callsites::Callsite;
use super::fields::{Encoder, Fields};
use super::open_spans::{self, Entering, Number, OpenSpans, Opening};
use super::recent::{self, Happening, Ring};
use super::{clock, entered};
use crate::sys::forked_lock::lock_within;
use crate::{sys, task};

/// The recorders of the layers that exist.
static RECORDERS: Mutex<Vec<Weak<Recorder>>> = Mutex::new(Vec::new());

/// How long the list may be locked. It is for longer only in a child that was forked meanwhile.
const LOCKED_WITHIN: Duration = Duration::from_millis(100);

/// The layers that have been made.
static LAYERS: AtomicU32 = AtomicU32::new(0);

/// How often this process was forked from another one, since there was a layer.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Runs before each fork.
extern "C" fn forks() {}

/// Runs in each forked child.
extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The spans and events of one layer.
#[derive(Debug)]
pub(super) struct Recorder {
    /// The layer's number.
    layer: u32,
    spans: OpenSpans,
    /// The events at warn and above.
    warnings: Ring,
    others: Ring,
    /// Calls of `Span::record` whose fields could not be kept.
    unrecorded: AtomicU64,
}

impl Recorder {
    /// Adds a recorder to those that reports show, until it is dropped.
    pub(super) fn new() -> Arc<Self> {
        let layer = LAYERS.fetch_add(1, Ordering::Relaxed);
        if layer == 0 {
            sys::in_children(forks, forked);
        }
        let recorder = Arc::new(Self {
            layer,
            spans: OpenSpans::new(),
            warnings: Ring::new(),
            others: Ring::new(),
            unrecorded: AtomicU64::new(0),
        });
        if let Some(mut recorders) = lock_within(&RECORDERS, LOCKED_WITHIN) {
            recorders.retain(|other| other.strong_count() > 0);
            recorders.push(Arc::downgrade(&recorder));
        }
        recorder
    }

    pub(super) fn open(&self, attributes: &span::Attributes<'_>, id: &span::Id) {
        // A field's `Debug` may do anything, such as open spans and log.
        let mut fields = Encoder::<{ open_spans::FIELD_BYTES }>::new();
        attributes.record(&mut fields);
        let parent = if attributes.is_contextual() {
            entered::innermost(self.layer)
        } else {
            attributes.parent().and_then(|parent| self.spans.number(parent.into_u64()))
        };
        let Some(callsite) = Callsite::of(attributes.metadata()) else { return };
        let (now, forks) = (clock::monotonic(), FORKS.load(Ordering::Relaxed));
        let opening = Opening { callsite, parent, fields: fields.bytes(), now, forks };
        self.spans.open(id.into_u64(), &opening);
    }

    pub(super) fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        // Values of other spans are not formatted: that runs code of the program's.
        if self.spans.number(id.into_u64()).is_none() {
            return;
        }
        let mut fields = Encoder::new();
        values.record(&mut fields);
        if !self.spans.record(id.into_u64(), &mut fields) {
            self.unrecorded.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn follow(&self, id: &span::Id, follows: &span::Id) {
        self.spans.follow(id.into_u64(), follows.into_u64());
    }

    pub(super) fn enter(&self, id: &span::Id) {
        let id = id.into_u64();
        let (tid, task) = task::here();
        let entering = Entering { now: clock::monotonic(), tid, task, forks: FORKS.load(Ordering::Relaxed) };
        if let Some(number) = self.spans.enter(id, entering) {
            entered::enter(self.layer, id, number);
        }
    }

    pub(super) fn leave(&self, id: &span::Id) {
        let id = id.into_u64();
        let number = entered::leave(self.layer, id);
        let (tid, _) = task::here();
        self.spans.leave(id, number, clock::monotonic(), tid);
    }

    pub(super) fn close(&self, id: &span::Id) {
        self.spans.close(id.into_u64());
    }

    pub(super) fn add(&self, event: &Event<'_>) {
        let mut fields = Encoder::<{ recent::EVENT_BYTES }>::new();
        event.record(&mut fields);
        let span = if event.is_contextual() {
            entered::innermost(self.layer)
        } else {
            event.parent().and_then(|parent| self.spans.number(parent.into_u64()))
        };
        let metadata = event.metadata();
        let (tid, task) = task::here();
        let ring = if *metadata.level() <= Level::WARN { &self.warnings } else { &self.others };
        let happening = Happening {
            time: clock::wall(),
            callsite: Callsite::of(metadata),
            tid,
            task,
            span,
            fields: fields.bytes(),
        };
        ring.add(&happening, &self.spans);
    }
}

/// The open spans of all layers.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    pub(crate) open: Vec<OpenSpan>,
    /// Spans that had no room since the layer was made.
    pub(crate) lost: u64,
    /// Spans that could not be read.
    pub(crate) unread: u64,
    /// Calls of `Span::record` that are not shown.
    pub(crate) unrecorded: u64,
}

/// An open span.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    /// Unique in this process, unless it makes more than 16 layers.
    pub(crate) id: u64,
    /// The parent's id, if it has one.
    pub(crate) parent: Option<u64>,
    pub(crate) metadata: &'static Metadata<'static>,
    /// The span that it follows.
    pub(crate) follows: Option<&'static Metadata<'static>>,
    pub(crate) age: Duration,
    /// How long threads have been inside, added up.
    pub(crate) busy: Duration,
    /// Since when threads are inside, or none is. `None` if none ever was.
    pub(crate) unchanged: Option<Duration>,
    /// How many threads are inside.
    pub(crate) entered: usize,
    /// The threads that are inside, as far as they are known.
    pub(crate) threads: Vec<u32>,
    /// The task that entered it last.
    pub(crate) task: Option<u64>,
    pub(crate) fields: Fields,
    /// Whether it was opened in the process that this one was forked from.
    pub(crate) is_parents: bool,
}

/// The last events of all layers.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// In the order in which they came.
    pub(crate) recent: Vec<RecentEvent>,
    /// How many events at warn and above there were.
    pub(crate) warnings: u64,
    /// How many others there were.
    pub(crate) others: u64,
    /// How many could not be recorded, because another thread was writing to the slot.
    pub(crate) lost: u64,
    /// How many could not be read, because threads were writing to their slots.
    pub(crate) unread: u64,
}

/// An event.
#[derive(Debug)]
pub(crate) struct RecentEvent {
    /// Microseconds since 1970.
    pub(crate) time: u64,
    /// `None` if the program has too many callsites.
    pub(crate) metadata: Option<&'static Metadata<'static>>,
    pub(crate) tid: u32,
    pub(crate) task: Option<u64>,
    pub(crate) fields: Fields,
    /// The span that it was in: its id, what it is, and its fields at that time.
    pub(crate) span: Option<(u64, &'static Metadata<'static>, Fields)>,
}

/// Whether there is a layer.
pub(crate) fn has_layer() -> bool {
    !recorders().is_empty()
}

/// Whether the program uses `tracing`: it has set a subscriber, for all threads or for one.
pub(crate) fn is_in_use() -> bool {
    tracing_core::dispatcher::has_been_set()
}

fn recorders() -> Vec<Arc<Recorder>> {
    let recorders = lock_within(&RECORDERS, LOCKED_WITHIN);
    recorders.iter().flat_map(|recorders| recorders.iter().filter_map(Weak::upgrade)).collect()
}

/// The open spans.
pub(crate) fn spans() -> Spans {
    let mut all = Spans::default();
    for recorder in recorders() {
        recorder.add_spans_to(&mut all);
    }
    all
}

/// The last events.
pub(crate) fn events() -> Events {
    let mut all = Events::default();
    for recorder in recorders() {
        recorder.add_events_to(&mut all);
    }
    // Those of one ring are in order. The clock is too coarse to tell.
    all.recent.sort_by_key(|event| event.time);
    all
}

impl Recorder {
    pub(super) fn add_spans_to(&self, all: &mut Spans) {
        let now = clock::monotonic();
        let (seen, unread) = self.spans.all(now);
        all.open.extend(seen.into_iter().filter_map(|span| describe(self, span, now)));
        all.lost += self.spans.lost();
        all.unread += unread;
        all.unrecorded += self.unrecorded.load(Ordering::Relaxed);
    }

    pub(super) fn add_events_to(&self, all: &mut Events) {
        for ring in [&self.warnings, &self.others] {
            let (seen, unread) = ring.all();
            all.recent.extend(seen.into_iter().map(|event| describe_event(self, event)));
            all.lost += ring.lost();
            all.unread += unread;
        }
        all.warnings += self.warnings.count();
        all.others += self.others.count();
    }
}

fn id(recorder: &Recorder, number: Number) -> u64 {
    const LAYERS: u64 = 16;
    number.get() * LAYERS + u64::from(recorder.layer) % LAYERS
}

fn describe(recorder: &Recorder, span: open_spans::Seen, now: u64) -> Option<OpenSpan> {
    let metadata = span.callsite.metadata()?;
    let since = |then: u64| Duration::from_micros(now.saturating_sub(then));
    let forks = FORKS.load(Ordering::Relaxed);
    let mut threads: Vec<u32> = span.threads;
    let mut entered = span.entered;
    if span.entered_after != forks {
        // Of the threads that were inside, this process has the one that forked it.
        let here = std::process::id();
        threads = threads.into_iter().map(task::id_here).filter(|tid| *tid == here).collect();
        entered = threads.len();
    }
    Some(OpenSpan {
        id: id(recorder, span.number),
        parent: span.parent.map(|parent| id(recorder, parent)),
        metadata,
        follows: span.follows.and_then(Callsite::metadata),
        age: since(span.opened),
        busy: Duration::from_micros(span.busy),
        unchanged: (span.changed != 0).then(|| since(span.changed)),
        entered,
        threads,
        task: task::full_id(span.task),
        fields: Fields::decode(&span.fields, span.fields.len(), metadata.fields()),
        is_parents: span.opened_after != forks,
    })
}

fn describe_event(recorder: &Recorder, event: recent::Seen) -> RecentEvent {
    let metadata = event.callsite.and_then(Callsite::metadata);
    let fields =
        metadata.map(|metadata| Fields::decode(&event.fields, event.fields.len(), metadata.fields()));
    let span = event.span.and_then(|span| {
        let metadata = span.callsite.metadata()?;
        let fields = Fields::decode(&span.fields, span.length, metadata.fields());
        Some((id(recorder, span.number), metadata, fields))
    });
    RecentEvent {
        time: event.time,
        metadata,
        tid: event.tid,
        task: task::full_id(event.task),
        fields: fields.unwrap_or_default(),
        span,
    }
}
