//! The last events of one layer, in two rings of slots. Events at warn and above have a ring of
//! their own, so that other events can't displace them. No thread waits: if another thread is
//! writing to an event's slot, the event is counted instead of recorded.

use super::callsites::Callsite;
use super::open_spans::{Number, OpenSpans};
use super::seqlock::{Version, WORD, Words};
use super::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sys::sort;

/// Bytes for the message and the fields of an event.
pub(super) const EVENT_BYTES: usize = 384;

/// Words for these, and for the fields of the span that the event is in: what the event leaves, but
/// at least 128 bytes.
const WORDS: usize = EVENT_BYTES / WORD + 16;

/// How many events are kept, of each kind.
#[cfg(not(all(test, gmr_loom)))]
pub(crate) const KEPT: usize = 128;
#[cfg(all(test, gmr_loom))]
pub(crate) const KEPT: usize = 1;

/// The last events of one kind.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Box<[Slot]>,
    /// How many events there were.
    count: AtomicU64,
    /// Events that could not be written.
    lost: AtomicU64,
    /// How many events there were when this process was forked.
    of_parent: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    version: Version,
    /// The event's number among those of its ring, from 1.
    number: AtomicU64,
    elsewhere: AtomicU64,
    time: AtomicU64,
    callsite: AtomicU32,
    tid: AtomicU32,
    task: AtomicU32,
    /// The callsite of the span that it is in.
    span_callsite: AtomicU32,
    span: AtomicU64,
    length: AtomicU32,
    /// Bytes of the span's fields, and how many of them have room.
    span_length: AtomicU32,
    span_kept: AtomicU32,
    fields: Words<WORDS>,
}

/// What is known of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happening<'a> {
    /// How many events the other ring has had.
    pub(super) elsewhere: u64,
    pub(super) time: u64,
    pub(super) callsite: Option<Callsite>,
    pub(super) tid: u32,
    pub(super) task: u32,
    pub(super) span: Option<Number>,
    pub(super) fields: &'a [u8],
}

/// An event, as a report reads it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its number among those of its ring.
    pub(super) number: u64,
    /// How many events the other ring had had.
    pub(super) elsewhere: u64,
    pub(super) time: u64,
    pub(super) callsite: Option<Callsite>,
    pub(super) tid: u32,
    pub(super) task: u32,
    pub(super) fields: Vec<u8>,
    pub(super) span: Option<SeenSpan>,
}

/// The span that an event is in.
#[derive(Debug, Clone)]
pub(super) struct SeenSpan {
    pub(super) number: Number,
    pub(super) callsite: Callsite,
    pub(super) fields: Vec<u8>,
    /// How many bytes of fields there were.
    pub(super) length: usize,
}

impl Slot {
    fn new() -> Self {
        Self {
            version: Version::new(),
            number: AtomicU64::new(0),
            elsewhere: AtomicU64::new(0),
            time: AtomicU64::new(0),
            callsite: AtomicU32::new(0),
            tid: AtomicU32::new(0),
            task: AtomicU32::new(0),
            span_callsite: AtomicU32::new(0),
            span: AtomicU64::new(0),
            length: AtomicU32::new(0),
            span_length: AtomicU32::new(0),
            span_kept: AtomicU32::new(0),
            fields: Words::new(),
        }
    }

    #[inline]
    fn fill(&self, number: u64, event: &Happening<'_>, spans: &OpenSpans) {
        let Happening { elsewhere, time, callsite, tid, task, span, fields } = *event;
        let store = |word: &AtomicU32, value: usize| {
            word.store(u32::try_from(value).unwrap_or(u32::MAX), Ordering::Relaxed);
        };
        self.number.store(number, Ordering::Relaxed);
        self.elsewhere.store(elsewhere, Ordering::Relaxed);
        self.time.store(time, Ordering::Relaxed);
        self.callsite.store(Callsite::to_bits(callsite), Ordering::Relaxed);
        self.tid.store(tid, Ordering::Relaxed);
        self.task.store(task, Ordering::Relaxed);
        self.fields.store(0, fields);
        store(&self.length, fields.len());
        let copied = span.and_then(|span| spans.copy_fields(span, &self.fields, fields.len().div_ceil(WORD)));
        self.span.store(if copied.is_some() { Number::to_bits(span) } else { 0 }, Ordering::Relaxed);
        let (callsite, length, kept) = copied.unwrap_or_default();
        self.span_callsite.store(callsite, Ordering::Relaxed);
        store(&self.span_length, length);
        store(&self.span_kept, kept);
    }

    fn see(&self) -> Option<Seen> {
        let size = |word: &AtomicU32| usize::try_from(word.load(Ordering::Relaxed)).unwrap_or_default();
        self.version.read(|| {
            let length = size(&self.length);
            let span = || {
                Some(SeenSpan {
                    number: Number::from_bits(self.span.load(Ordering::Relaxed))?,
                    callsite: Callsite::from_bits(self.span_callsite.load(Ordering::Relaxed))?,
                    fields: self.fields.load(length.div_ceil(WORD), size(&self.span_kept)),
                    length: size(&self.span_length),
                })
            };
            Seen {
                number: self.number.load(Ordering::Relaxed),
                elsewhere: self.elsewhere.load(Ordering::Relaxed),
                time: self.time.load(Ordering::Relaxed),
                callsite: Callsite::from_bits(self.callsite.load(Ordering::Relaxed)),
                tid: self.tid.load(Ordering::Relaxed),
                task: self.task.load(Ordering::Relaxed),
                fields: self.fields.load(0, length),
                span: span(),
            }
        })
    }
}

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..KEPT).map(|_| Slot::new()).collect(),
            count: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            of_parent: AtomicU64::new(0),
        }
    }

    /// Adds an event, in place of the oldest one.
    #[inline]
    pub(super) fn add(&self, event: &Happening<'_>, spans: &OpenSpans) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let index = usize::try_from(number % KEPT as u64).unwrap_or_default();
        let slot = &self.slots[index];
        let change = slot.version.change();
        // A thread that was stopped before it wrote must not replace a later event.
        if change.is_some() && slot.number.load(Ordering::Relaxed) < number {
            slot.fill(number, event, spans);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// In a forked child, before anything else happens there: removes the event that a thread of
    /// the parent was writing to each slot.
    pub(super) fn after_fork(&self) {
        self.of_parent.store(self.count(), Ordering::Relaxed);
        for slot in &self.slots {
            if slot.version.end_lost_change() {
                slot.number.store(0, Ordering::Relaxed);
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The events that are kept, in the order in which they came, and how many could not be read.
    pub(super) fn all(&self) -> (Vec<Seen>, u64) {
        let mut unread = 0;
        let mut all: Vec<Seen> = Vec::new();
        for slot in &self.slots {
            match slot.see() {
                Some(seen) if seen.number > 0 => all.push(seen),
                Some(_) => {}
                None => unread += 1,
            }
        }
        sort::by_key(&mut all, |event| event.number);
        (all, unread)
    }

    /// How many events there were.
    #[inline]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether the event is from the process that this one was forked from.
    pub(super) fn is_of_parent(&self, event: &Seen) -> bool {
        event.number <= self.of_parent.load(Ordering::Relaxed)
    }

    /// How many of them could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
