//! What one layer has recorded, and the recorders of this process. Layers write, and reports read.
//! Nothing here formats a value or decides what is shown.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tracing_core::{Event, Level, Metadata, span};

use super::callsites::Callsite;
use super::fields::{Encoder, Fields};
use super::inside::Entering;
use super::open_spans::{self, Number, OpenSpans, Opening};
use super::recent::{self, Happening, Ring};
use super::{clock, entered};
use crate::sys::forked_lock::lock_within;
use crate::sys::sort;
use crate::{sys, task};

/// The recorders of the layers that exist.
static RECORDERS: Mutex<Vec<Weak<Recorder>>> = Mutex::new(Vec::new());

/// How long the list may be locked. It is for longer only in a child that was forked meanwhile.
const LOCKED_WITHIN: Duration = Duration::from_millis(100);

/// The layers that have been made.
static LAYERS: AtomicU32 = AtomicU32::new(0);

/// How often this process was forked from another one, since there was a layer.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Runs before each fork, on the thread that forks.
extern "C" fn forks() {
    entered::prepare();
}

/// Runs in each forked child, on its only thread. It uses atomics and reads the clock.
extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    // If another thread had locked the list, it stays locked here, and reports can't read it.
    if let Ok(recorders) = RECORDERS.try_lock() {
        recorders.iter().filter_map(Weak::upgrade).for_each(|recorder| recorder.after_fork());
    }
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

/// Another thread has locked the list of layers for longer than it takes to change it.
#[derive(Debug)]
pub(crate) struct Locked;

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

    #[inline]
    pub(super) fn open(&self, attributes: &span::Attributes<'_>, id: &span::Id) {
        // A field's `Debug` may do anything, such as open spans and log.
        let mut fields = Encoder::<{ open_spans::FIELD_BYTES }>::new();
        attributes.record(&mut fields);
        let parent = if attributes.is_contextual() {
            entered::innermost(self.layer)
        } else {
            attributes.parent().and_then(|parent| self.spans.number(parent.into_u64()))
        };
        let Some(callsite) = Callsite::of(attributes.metadata()) else { return self.spans.lose() };
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

    #[inline]
    pub(super) fn enter(&self, id: &span::Id) {
        let (id, entering) = (id.into_u64(), here());
        if let Some(number) = self.spans.enter(id, entering) {
            entered::enter(self.layer, id, number, entering);
        }
    }

    #[inline]
    pub(super) fn leave(&self, id: &span::Id) {
        let id = id.into_u64();
        self.spans.leave(id, entered::leave(self.layer, id), here());
    }

    #[inline]
    pub(super) fn close(&self, id: &span::Id) {
        self.spans.close(id.into_u64());
    }

    #[inline]
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
        let (ring, elsewhere) = if *metadata.level() <= Level::WARN {
            (&self.warnings, &self.others)
        } else {
            (&self.others, &self.warnings)
        };
        let happening = Happening {
            elsewhere: elsewhere.count(),
            time: clock::wall(),
            callsite: Callsite::of(metadata),
            tid,
            task,
            span,
            fields: fields.bytes(),
        };
        ring.add(&happening, &self.spans);
    }

    /// In a forked child, before anything else happens there: forgets what other threads of the
    /// parent had begun, and the spans that they were inside.
    pub(super) fn after_fork(&self) {
        let (now, tid) = (clock::monotonic(), std::process::id());
        let lost = self.spans.after_fork(now, tid, |each| entered::for_each(self.layer, each));
        self.unrecorded.fetch_add(lost, Ordering::Relaxed);
        self.warnings.after_fork();
        self.others.after_fork();
    }
}

/// This thread, now.
#[inline]
fn here() -> Entering {
    let (tid, task) = task::here();
    Entering { now: clock::monotonic(), tid, task }
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
    /// The threads that are inside, as far as they are known.
    pub(crate) threads: Vec<ThreadInside>,
    /// How many more there are at most.
    pub(crate) other_threads: usize,
    /// How long ago a thread has left last, and the task in which it did. `None` if none has.
    pub(crate) left: Option<(Duration, Option<u64>)>,
    pub(crate) fields: Fields,
    /// Whether it was opened in the process that this one was forked from.
    pub(crate) is_parents: bool,
}

impl OpenSpan {
    /// Whether a thread is inside.
    pub(crate) fn is_entered(&self) -> bool {
        self.other_threads > 0 || !self.threads.is_empty()
    }
}

/// A thread that is inside a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThreadInside {
    pub(crate) tid: u32,
    /// How long it has been.
    pub(crate) since: Duration,
    /// The task that it is polling.
    pub(crate) task: Option<u64>,
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
    /// What events are sorted by.
    order: u64,
    /// Microseconds since 1970.
    pub(crate) time: u64,
    /// `None` if the program has too many callsites.
    pub(crate) metadata: Option<&'static Metadata<'static>>,
    pub(crate) tid: u32,
    pub(crate) task: Option<u64>,
    pub(crate) fields: Fields,
    /// The span that it was in: its id, what it is, and its fields at that time.
    pub(crate) span: Option<(u64, &'static Metadata<'static>, Fields)>,
    /// Whether it happened in the process that this one was forked from.
    pub(crate) is_parents: bool,
}

/// Whether the program uses `tracing`: it has set a subscriber, for all threads or for one.
pub(crate) fn is_in_use() -> bool {
    tracing_core::dispatcher::has_been_set()
}

/// The recorders of all layers of the list.
fn recorders(list: &Mutex<Vec<Weak<Recorder>>>) -> Result<Vec<Arc<Recorder>>, Locked> {
    let recorders = lock_within(list, LOCKED_WITHIN).ok_or(Locked)?;
    Ok(recorders.iter().filter_map(Weak::upgrade).collect())
}

/// The open spans. `None` if there is no layer.
///
/// # Errors
/// The layers can't be found.
pub(crate) fn spans() -> Result<Option<Spans>, Locked> {
    let recorders = recorders(&RECORDERS)?;
    let mut all = Spans::default();
    for recorder in &recorders {
        recorder.add_spans_to(&mut all);
    }
    Ok((!recorders.is_empty()).then_some(all))
}

/// The last events. `None` if there is no layer.
///
/// # Errors
/// The layers can't be found.
pub(crate) fn events() -> Result<Option<Events>, Locked> {
    let recorders = recorders(&RECORDERS)?;
    let mut all = Events::default();
    for recorder in &recorders {
        recorder.add_events_to(&mut all);
    }
    sort(&mut all.recent);
    Ok((!recorders.is_empty()).then_some(all))
}

/// Sorts events of several layers by time. Those of one layer stay in the order in which they came.
fn sort(events: &mut [RecentEvent]) {
    sort::by_key(events, |event| event.order);
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
        let mut events = Vec::new();
        for (ring, is_below) in [(&self.warnings, false), (&self.others, true)] {
            let (seen, unread) = ring.all();
            let mut warnings = 0;
            for event in seen {
                // An event below warn follows the warnings that there were when it came.
                warnings = if is_below { event.elsewhere.max(warnings) } else { event.number };
                events.push(((warnings, is_below, event.number), ring.is_of_parent(&event), event));
            }
            all.lost += ring.lost();
            all.unread += unread;
        }
        sort::by_key(&mut events, |(key, ..)| *key);
        // They stay in this order also if the clock was set back meanwhile.
        let mut latest = 0;
        for (_, is_parents, event) in events {
            latest = event.time.max(latest);
            all.recent.push(describe_event(self, event, latest, is_parents));
        }
        all.warnings += self.warnings.count();
        all.others += self.others.count();
    }
}

fn id(recorder: &Recorder, number: Number) -> u64 {
    const LAYERS: u64 = 16;
    /// What is left of the 53 bits that every JSON parser reads exactly. The upper bits of the
    /// number are cut: ids repeat after 2³³ changes of one slot.
    const NUMBERS: u64 = (1 << 53) / LAYERS;
    number.get() % NUMBERS * LAYERS + u64::from(recorder.layer) % LAYERS
}

fn describe(recorder: &Recorder, span: open_spans::Seen, now: u64) -> Option<OpenSpan> {
    let metadata = span.callsite.metadata()?;
    let since = |then: u64| Duration::from_micros(now.saturating_sub(then));
    let inside = span.inside;
    // It is kept less exactly.
    let inside_since = |entered: u64| since(entered.max(span.opened));
    Some(OpenSpan {
        id: id(recorder, span.number),
        parent: span.parent.map(|parent| id(recorder, parent)),
        metadata,
        follows: span.follows.and_then(Callsite::metadata),
        age: since(span.opened),
        busy: Duration::from_micros(inside.busy),
        threads: inside
            .threads
            .into_iter()
            .map(|thread| ThreadInside {
                tid: thread.tid,
                since: inside_since(thread.since),
                task: task::full_id(thread.task),
            })
            .collect(),
        other_threads: inside.others,
        left: inside.left.map(|left| (since(left), task::full_id(inside.left_by))),
        fields: Fields::decode(&span.fields, span.fields.len(), metadata.fields()),
        is_parents: span.opened_after != FORKS.load(Ordering::Relaxed),
    })
}

fn describe_event(recorder: &Recorder, event: recent::Seen, order: u64, is_parents: bool) -> RecentEvent {
    let metadata = event.callsite.and_then(Callsite::metadata);
    let fields =
        metadata.map(|metadata| Fields::decode(&event.fields, event.fields.len(), metadata.fields()));
    let span = event.span.and_then(|span| {
        let metadata = span.callsite.metadata()?;
        let fields = Fields::decode(&span.fields, span.length, metadata.fields());
        Some((id(recorder, span.number), metadata, fields))
    });
    RecentEvent {
        order,
        time: event.time,
        metadata,
        tid: event.tid,
        task: task::full_id(event.task),
        fields: fields.unwrap_or_default(),
        span,
        is_parents,
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_stays_locked_is_not_an_empty_one() {
        let list = Mutex::new(Vec::new());
        assert_eq!(recorders(&list).map(|all| all.len()).ok(), Some(0));
        let guard = list.lock().unwrap();
        // It is tried for a tenth of a second, and then given up.
        assert!(recorders(&list).is_err());
        drop(guard);
    }

    #[test]
    fn events_stay_in_the_order_in_which_they_came() {
        let recorder = Recorder::new();
        // Several within a tick, and a clock that is set back.
        let times =
            [(100, false), (100, true), (100, false), (50, false), (120, true), (110, true), (110, false)];
        for (time, is_warning) in times {
            let (ring, elsewhere) = if is_warning {
                (&recorder.warnings, recorder.others.count())
            } else {
                (&recorder.others, recorder.warnings.count())
            };
            let happening = Happening {
                elsewhere,
                time,
                callsite: None,
                tid: is_warning.into(),
                task: 0,
                span: None,
                fields: &[],
            };
            ring.add(&happening, &recorder.spans);
        }
        let mut all = Events::default();
        recorder.add_events_to(&mut all);
        sort(&mut all.recent);
        let seen: Vec<_> = all.recent.iter().map(|event| (event.time, event.tid == 1)).collect();
        assert_eq!(seen, times);
    }
}
