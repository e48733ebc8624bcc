//! The layer under a real registry, with the macros that programs use.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use tracing::instrument::{Instrument as _, WithSubscriber as _};
use tracing::{Dispatch, dispatcher, field};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use super::fields::FieldValue;
use super::inside::Entering;
use super::layer::of_recorder;
use super::open_spans::{FIELD_BYTES, OpenSpans, Opening};
use super::recent::KEPT;
use super::recorder::{Events, OpenSpan, RecentEvent, Recorder, Spans};
use super::{Fields, layer};

/// A subscriber of its own, and what its layer records.
#[derive(Clone)]
pub(crate) struct Recording {
    recorder: Arc<Recorder>,
    dispatch: Dispatch,
}

impl Recording {
    pub(crate) fn new() -> Self {
        let recorder = Recorder::new();
        let subscriber = Registry::default().with(of_recorder(Arc::clone(&recorder)));
        Self { recorder, dispatch: Dispatch::new(subscriber) }
    }

    /// Runs a function whose spans and events are recorded.
    pub(crate) fn run<T>(&self, run: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.dispatch, run)
    }

    pub(crate) fn spans(&self) -> Spans {
        let mut spans = Spans::default();
        self.recorder.add_spans_to(&mut spans);
        spans
    }

    pub(crate) fn events(&self) -> Events {
        let mut events = Events::default();
        self.recorder.add_events_to(&mut events);
        events
    }

    fn named(&self, name: &str) -> Vec<OpenSpan> {
        let mut spans = self.spans().open;
        spans.retain(|span| span.metadata.name() == name);
        spans
    }

    /// The only open span of this name.
    fn span(&self, name: &str) -> OpenSpan {
        let mut spans = self.named(name);
        assert_eq!(spans.len(), 1, "{name}: {spans:?}");
        spans.remove(0)
    }
}

fn text(text: &str) -> FieldValue {
    FieldValue::Text { text: text.to_owned(), is_cut: false }
}

fn fields(fields: &[(&'static str, FieldValue)]) -> Fields {
    Fields { fields: fields.to_vec(), more: false }
}

/// The threads that are inside.
fn tids(span: &OpenSpan) -> Vec<u32> {
    span.threads.iter().map(|thread| thread.tid).collect()
}

/// The message of an event.
fn message(event: &RecentEvent) -> &str {
    event.fields.text("message").expect("it has a message")
}

#[test]
fn open_spans_have_parents_and_fields() {
    let recording = Recording::new();
    recording.run(|| {
        let line = line!();
        let outer =
            tracing::info_span!("outer", id = 7_u64, delta = -3, ratio = 0.5, up = true, "path" = "/a b");
        let _entered = outer.enter();
        let inner = tracing::debug_span!("inner", answer = ?Some(42), later = field::Empty, code = %"x");
        let _of_inner = tracing::info_span!(parent: &inner, "of_inner");
        let root = tracing::info_span!(parent: None, "root");
        root.follows_from(&inner);
        inner.record("later", "now");
        inner.record("code", 5);

        let [outer, inner, of_inner, root] =
            ["outer", "inner", "of_inner", "root"].map(|name| recording.span(name));
        assert_eq!(
            outer.fields,
            fields(&[
                ("id", FieldValue::Unsigned(7)),
                ("delta", FieldValue::Signed(-3)),
                ("ratio", FieldValue::Float(0.5)),
                ("up", FieldValue::Bool(true)),
                ("path", text("/a b")),
            ])
        );
        let expected =
            [("answer", text("Some(42)")), ("later", text("now")), ("code", FieldValue::Signed(5))];
        assert_eq!(inner.fields, fields(&expected));
        assert_eq!((outer.parent, root.parent), (None, None));
        assert_eq!((inner.parent, of_inner.parent), (Some(outer.id), Some(inner.id)));
        assert_eq!(root.follows.map(tracing::Metadata::name), Some("inner"));
        assert_eq!(
            (tids(&outer), outer.other_threads, outer.left),
            (vec![crate::sys::current_tid()], 0, None)
        );
        assert!(!inner.is_entered() && inner.left.is_none());
        assert!(outer.metadata.line().is_some_and(|place| (1..=2).contains(&(place - line))));
        assert!(!outer.is_parents);
    });
    assert!(recording.spans().open.is_empty(), "all are closed");
}

#[test]
fn a_span_whose_handle_is_dropped_is_open_until_its_children_are_closed() {
    let recording = Recording::new();
    recording.run(|| {
        let parent = tracing::info_span!("parent");
        let child = tracing::info_span!(parent: &parent, "child");
        drop(parent);
        assert_eq!(recording.span("child").parent, Some(recording.span("parent").id));
        drop(child);
        assert!(recording.spans().open.is_empty());
    });
}

#[test]
fn a_closed_span_is_no_parent() {
    let recording = Recording::new();
    recording.run(|| {
        let one = tracing::info_span!("one");
        let id = recording.span("one").id;
        drop(one);
        // It has the same slot.
        let two = tracing::info_span!("two");
        assert_ne!(recording.span("two").id, id);
        drop(two);
    });
}

#[test]
fn time_inside_is_added_up_over_threads() {
    let recording = Recording::new();
    let span = recording.run(|| tracing::info_span!("shared"));
    let both_inside = Barrier::new(3);
    let (leave_first, first_leaves) = mpsc::channel::<()>();
    let (leave_second, second_leaves) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let enter = |leaves: mpsc::Receiver<()>| {
            let (span, both_inside) = (&span, &both_inside);
            move || {
                let entered = span.enter();
                both_inside.wait();
                let _ = leaves.recv();
                drop(entered);
                crate::sys::current_tid()
            }
        };
        let (first, second) = (scope.spawn(enter(first_leaves)), scope.spawn(enter(second_leaves)));
        both_inside.wait();
        let seen = recording.span("shared");
        assert_eq!((seen.threads.len(), seen.other_threads), (2, 0));
        // Until the coarse clock has gone on.
        while recording.span("shared").busy < Duration::from_millis(40) {
            thread::yield_now();
        }
        let seen = recording.span("shared");
        assert!(seen.busy >= seen.age, "two threads: {seen:?}");
        drop(leave_first);
        let first = first.join().unwrap();
        let seen = recording.span("shared");
        assert!(seen.left.is_some(), "{seen:?}");
        let [inside] = seen.threads[..] else { panic!("one is left: {seen:?}") };
        assert!(inside.since >= Duration::from_millis(15) && inside.since <= seen.age, "{seen:?}");
        drop(leave_second);
        assert_eq!(inside.tid, second.join().unwrap());
        assert_ne!(inside.tid, first);
    });
    let seen = recording.span("shared");
    assert!(!seen.is_entered(), "{seen:?}");
    let busy = seen.busy;
    assert_eq!(recording.span("shared").busy, busy, "no thread is inside");
}

#[tracing::instrument]
async fn order(id: u64) {
    tracing::info!("begun");
    stock().await;
}

#[tracing::instrument(skip_all)]
async fn stock() {
    std::future::pending::<()>().await;
}

#[test]
fn futures_carry_their_spans_from_thread_to_thread() {
    let recording = Recording::new();
    let future = order(4711).with_subscriber(recording.dispatch.clone());
    let future = future.instrument(recording.run(|| tracing::info_span!("request")));
    let mut future = Box::pin(future);
    let poll = |future: Pin<&mut (dyn Future<Output = ()> + Send)>| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(recording.run(|| future.poll(&mut context)).is_pending());
    };
    poll(future.as_mut());
    let [request, order, stock] = ["request", "order", "stock"].map(|name| recording.span(name));
    assert_eq!((order.parent, stock.parent), (Some(request.id), Some(order.id)));
    assert_eq!(order.fields, fields(&[("id", FieldValue::Unsigned(4711))]));
    assert!(!order.is_entered() && !stock.is_entered());
    let moved = future.as_mut();
    thread::scope(|scope| scope.spawn(|| poll(moved)).join().unwrap());
    let stock = recording.span("stock");
    assert!(!stock.is_entered() && stock.left.is_some(), "{stock:?}");
    // The registry closes parents by way of the thread's subscriber.
    recording.run(|| drop(future));
    assert!(recording.spans().open.is_empty());
    let events = recording.events().recent;
    let span = events[0].span.as_ref().unwrap();
    assert_eq!((message(&events[0]), span.1.name(), span.0), ("begun", "order", order.id));
    assert_eq!(span.2, order.fields, "the span's fields are kept with the event");
}

#[test]
fn the_last_events_are_kept_and_warnings_for_themselves() {
    let recording = Recording::new();
    recording.run(|| {
        tracing::warn!(disk = "sda", "nearly full");
        for number in 0..3 * KEPT {
            tracing::info!(number, "busy");
        }
    });
    let events = recording.events();
    assert_eq!((events.warnings, events.others, events.lost), (1, 3 * KEPT as u64, 0));
    let [warning, others @ ..] = &events.recent[..] else { panic!("{events:?}") };
    assert_eq!((message(warning), warning.fields.text("disk")), ("nearly full", Some("sda")));
    let numbers: Vec<_> = others.iter().map(|event| event.fields.fields.last().unwrap().1.clone()).collect();
    let expected: Vec<_> = (2 * KEPT..3 * KEPT).map(|number| FieldValue::Unsigned(number as u64)).collect();
    assert_eq!(numbers, expected);
    assert!(warning.span.is_none() && warning.tid == crate::sys::current_tid());
}

/// Logs, and opens a span, when it is formatted.
struct Talkative;

impl fmt::Debug for Talkative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = tracing::info_span!("formatting");
        let _entered = span.enter();
        tracing::warn!("formats");
        f.write_str("talked")
    }
}

#[test]
fn formatting_a_field_may_log() {
    let recording = Recording::new();
    recording.run(|| {
        let span = tracing::info_span!("outer", field = ?Talkative);
        span.record("field", field::debug(Talkative));
        tracing::error!(field = ?Talkative, "outside");
        assert_eq!(recording.span("outer").fields, fields(&[("field", text("talked"))]));
    });
    // Whether what it logs is recorded depends on the dispatcher: one of a single thread is not
    // called while it is called. `programs/spans.rs` has one for all threads.
    let events = recording.events();
    assert_eq!((events.recent.last().map(message), events.lost), (Some("outside"), 0));
}

/// Panics when it is formatted.
struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::panic::resume_unwind(Box::new("formatting"))
    }
}

#[test]
fn a_panic_of_a_field_is_passed_on() {
    let recording = Recording::new();
    recording.run(|| {
        let event = || tracing::error!(field = ?Panics, "unheard");
        std::panic::catch_unwind(event).unwrap_err();
        let span = tracing::info_span!("after");
        tracing::error!("heard");
        assert!(recording.span("after").fields.fields.is_empty());
        drop(span);
    });
    let events = recording.events();
    assert_eq!((events.recent.len(), message(&events.recent[0]), events.lost), (1, "heard", 0));
}

#[test]
fn long_values_are_cut_between_words() {
    let recording = Recording::new();
    let long = "word ".repeat(FIELD_BYTES);
    recording.run(|| {
        let _whole = tracing::info_span!("whole", a = "x", b = "y".repeat(FIELD_BYTES - 40));
        let whole = recording.span("whole").fields;
        assert!(!whole.more && whole.text("b").is_some(), "{whole:?}");
        let _cut = tracing::info_span!("cut", a = long, b = 1, c = 2);
        let cut = recording.span("cut").fields;
        assert!(cut.more && cut.fields.len() == 1 && cut.text("a").is_none(), "{cut:?}");
        let value = serde_json::to_value(&cut).unwrap();
        let text = value["a"].as_str().unwrap();
        assert!(text.starts_with("word word") && text.ends_with(" word … (cut)"), "{text}");
        assert_eq!(value["…"], "(further fields were cut)");
        // Half a secret could not be recognized.
        let _token = tracing::info_span!("token", a = "x".repeat(2 * FIELD_BYTES));
        assert_eq!(serde_json::to_value(recording.span("token").fields).unwrap()["a"], "… (cut)");
    });
}

/// Logs and enters a span when the thread ends.
struct AtEnd(Recording);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.run(|| tracing::info_span!("last").in_scope(|| tracing::warn!("ends")));
    }
}

thread_local! {
    static AT_END: std::cell::OnceCell<AtEnd> = const { std::cell::OnceCell::new() };
}

#[test]
fn a_thread_that_is_ending_may_log() {
    let recording = Recording::new();
    let ending = recording.clone();
    thread::spawn(move || AT_END.with(|at_end| drop(at_end.set(AtEnd(ending))))).join().unwrap();
    let events = recording.events().recent;
    assert_eq!((message(&events[0]), events[0].span.as_ref().unwrap().1.name()), ("ends", "last"));
    assert!(recording.spans().open.is_empty());
}

/// Sees what the program enables.
struct Other(mpsc::Sender<&'static str>);

impl<S: tracing::Subscriber> Layer<S> for Other {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.send(event.metadata().level().as_str()).unwrap();
    }
}

#[test]
fn the_layer_decides_for_itself_alone() {
    let log = || {
        tracing::info!("");
        tracing::debug!("");
        tracing::trace!("");
    };
    let (sender, received) = mpsc::channel();
    // With a filter for the other layer.
    let filtered = Other(sender.clone()).with_filter(tracing::level_filters::LevelFilter::INFO);
    tracing::subscriber::with_default(Registry::default().with(filtered).with(layer()), || {
        log();
        let _spans =
            [tracing::debug_span!("a span of the layer"), tracing::trace_span!("no span of the layer")];
        let all = super::spans().unwrap().unwrap().open;
        let is_there = |name: &str| all.iter().any(|span| span.metadata.name() == name);
        assert!(is_there("a span of the layer") && !is_there("no span of the layer"), "{all:?}");
    });
    // Without.
    tracing::subscriber::with_default(Registry::default().with(Other(sender)).with(layer()), log);
    assert!(received.into_iter().eq(["INFO", "INFO", "DEBUG", "TRACE"]));
}

#[test]
fn spans_for_which_there_is_no_room_are_counted() {
    const MOST: u64 = 70_000;
    let spans = OpenSpans::new();
    let recording = Recording::new();
    let callsite = recording.run(|| {
        let span = tracing::info_span!("any");
        super::callsites::Callsite::of(span.metadata().unwrap()).unwrap()
    });
    let opening = Opening { callsite, parent: None, fields: &[], now: 1, forks: 0 };
    let entering = Entering { now: 1, tid: 1, task: 0 };
    let kept = (1..=MOST).filter(|id| spans.open(*id, &opening).is_some()).count() as u64;
    assert!(kept > 50_000 && kept < MOST && spans.lost() == MOST - kept, "{kept}, {}", spans.lost());
    let (all, unread) = spans.all(2);
    assert_eq!((all.len() as u64, unread), (kept, 0));
    let mut numbers: Vec<_> = all.iter().map(|span| span.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len() as u64, kept, "each has a number of its own");
    for id in 1..=MOST {
        let number = spans.number(id);
        assert_eq!(spans.enter(id, entering), number);
        spans.leave(id, number, entering);
        spans.close(id);
    }
    assert!(spans.all(2).0.is_empty());
    let number = spans.open(7, &opening);
    assert!(number.is_some() && numbers.binary_search(&number.unwrap()).is_err(), "a new one");
}

#[test]
fn a_report_during_many_changes_sees_no_mixture() {
    let recording = Recording::new();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (recording, stop) = (&recording, &stop);
            scope.spawn(move || {
                recording.run(|| {
                    let mut round = 0_u64;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let value = round * 3 + thread;
                        let span = tracing::info_span!("work", value, text = %value, later = field::Empty);
                        span.in_scope(|| tracing::info!(value, "works on {value}"));
                        span.record("later", value);
                        round += 1;
                    }
                });
            });
        }
        let mut seen = 0;
        while seen < 2_000 {
            for span in recording.spans().open {
                let FieldValue::Unsigned(value) = span.fields.fields[0].1 else { panic!("{span:?}") };
                assert_eq!(span.fields.text("text"), Some(&*value.to_string()));
                if let Some((_, later)) = span.fields.fields.get(2) {
                    assert_eq!(*later, FieldValue::Unsigned(value));
                }
                seen += 1;
            }
            for event in recording.events().recent {
                let Some((_, FieldValue::Unsigned(value))) = event.fields.fields.get(1) else {
                    panic!("{event:?}")
                };
                assert_eq!(message(&event), format!("works on {value}"));
                assert_eq!(event.span.unwrap().2.text("text"), Some(&*value.to_string()));
                seen += 1;
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(recording.spans().open.is_empty());
}

#[test]
fn a_forked_child_shows_its_own_thread_alone() {
    let recording = Recording::new();
    let shared = recording.run(|| tracing::info_span!("shared"));
    let is_inside = Barrier::new(2);
    let (leave, leaves) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (recording, shared, is_inside) = (&recording, &shared, &is_inside);
        scope.spawn(move || {
            let others = recording.run(|| tracing::info_span!("others"));
            let _entered = (shared.enter(), others.enter());
            is_inside.wait();
            let _ = leaves.recv();
        });
        is_inside.wait();
        recording.run(|| tracing::warn!("of the parent"));
        let own = recording.run(|| tracing::info_span!("own"));
        let inside = (own.enter(), shared.enter());
        // In the child, the other thread does not exist.
        recording.recorder.after_fork();
        let child = std::process::id();
        assert_eq!(
            (tids(&recording.span("own")), tids(&recording.span("shared"))),
            (vec![child], vec![child])
        );
        let others = recording.span("others");
        assert!(!others.is_entered() && others.left.is_some(), "{others:?}");
        recording.run(|| tracing::warn!("of the child"));
        let events = recording.events().recent;
        assert_eq!(events.iter().map(|event| event.is_parents).collect::<Vec<_>>(), [true, false]);
        drop(inside);
        drop(leave);
    });
}
