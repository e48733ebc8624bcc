//! The open spans of one layer: a hash table of slots. Opening, entering, leaving and closing a
//! span takes a few atomic operations on its slot. No thread waits for another one, and reports
//! only read.
//!
//! The table consists of several arrays, each twice as long as the one before. A span is in the
//! first one in which its bucket has a free slot. Arrays are allocated when they are needed and
//! stay allocated. Spans for which no array has room are counted.

use std::num::NonZeroU64;

use super::callsites::Callsite;
use super::fields::Encoder;
use super::seqlock::{Version, Words};
use super::set_once::SetOnce;
use super::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Bytes for the fields of a span. A path, a method, ids and a peer take about 150.
pub(super) const FIELD_BYTES: usize = 320;

/// Slots of a bucket. Their ids are in one cache line.
const LANES: usize = 8;

/// Slots of the first array, which take 100 KB.
#[cfg(not(all(test, gmr_loom)))]
const FIRST: usize = 256;
#[cfg(all(test, gmr_loom))]
const FIRST: usize = LANES;

/// Together they have room for 65,280 spans, in 26 MB.
const ARRAYS: usize = 8;

/// Threads inside a span whose ids are kept.
const INSIDE: usize = 4;

/// In place of an id, while a slot is being filled. No span has this id: the registry's are numbers
/// of entries.
const CLAIMED: u64 = u64::MAX;

/// How often a thread tries to use an array that another thread is allocating.
const ATTEMPTS: usize = 1_000;

/// The bits of [`Slot::inside`] that count threads.
const COUNT: u64 = 0xffff;
const COUNT_BITS: u32 = 16;

/// Identifies a span for as long as the process runs: the slot in the lower half, and how often
/// slots were changed before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Number(NonZeroU64);

/// Bits of a number that are the slot's index.
const INDEX_BITS: u32 = 16;

impl Number {
    fn new(index: usize, version: u32) -> Option<Self> {
        let index = u64::try_from(index).unwrap_or_default() + 1;
        NonZeroU64::new(u64::from(version) << INDEX_BITS | index).map(Self)
    }

    fn index(self) -> usize {
        usize::try_from((self.0.get() & ((1 << INDEX_BITS) - 1)) - 1).unwrap_or(usize::MAX)
    }

    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }

    /// As a word; 0 stands for none.
    pub(super) fn to_bits(number: Option<Self>) -> u64 {
        number.map_or(0, |number| number.0.get())
    }

    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }
}

#[derive(Debug)]
pub(super) struct OpenSpans {
    arrays: [SetOnce<Box<[Bucket]>>; ARRAYS],
    /// Spans for which there was no room.
    lost: AtomicU64,
}

#[derive(Debug)]
#[repr(align(64))]
struct Bucket {
    /// The ids that the registry gave to the spans in the slots; 0 for free ones.
    ids: [AtomicU64; LANES],
    slots: [Slot; LANES],
}

#[derive(Debug)]
struct Slot {
    /// Of what is written when the span is opened, and of its fields.
    version: Version,
    callsite: AtomicU32,
    number: AtomicU64,
    parent: AtomicU64,
    opened: AtomicU64,
    /// How often this process had been forked when the span was opened, and when it was last entered.
    opened_after: AtomicU32,
    entered_after: AtomicU32,
    /// In the lower bits, how many threads are inside. Above, the sum of the times when a thread
    /// has left, minus the sum of the times when one has entered, in microseconds.
    inside: AtomicU64,
    /// When a thread last entered or left.
    changed: AtomicU64,
    /// The task that last entered it.
    task: AtomicU32,
    /// The callsite of the span that this one follows.
    follows: AtomicU32,
    /// The threads that are inside. The first one belongs to the thread that entered while no other
    /// one was inside.
    threads: [AtomicU32; INSIDE],
    length: AtomicU32,
    fields: Words<{ FIELD_BYTES / 8 }>,
}

/// What is known when a span is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) callsite: Callsite,
    pub(super) parent: Option<Number>,
    pub(super) fields: &'a [u8],
    pub(super) now: u64,
    /// How often this process was forked from another one.
    pub(super) forks: u32,
}

/// Who enters a span, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entering {
    pub(super) now: u64,
    pub(super) tid: u32,
    /// The task that the thread is polling, as [`task::here`](crate::task::here) gives it.
    pub(super) task: u32,
    /// How often this process was forked from another one.
    pub(super) forks: u32,
}

/// An open span, as a report reads it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) number: Number,
    pub(super) callsite: Callsite,
    pub(super) parent: Option<Number>,
    pub(super) follows: Option<Callsite>,
    pub(super) opened: u64,
    pub(super) opened_after: u32,
    pub(super) entered_after: u32,
    /// When a thread last entered or left it; 0 if none has.
    pub(super) changed: u64,
    /// Microseconds that threads have been inside, added up.
    pub(super) busy: u64,
    /// How many threads are inside.
    pub(super) entered: usize,
    /// The threads that are inside, as far as they are known.
    pub(super) threads: Vec<u32>,
    pub(super) task: u32,
    pub(super) fields: Vec<u8>,
}

impl Bucket {
    fn new() -> Self {
        Self { ids: std::array::from_fn(|_| AtomicU64::new(0)), slots: std::array::from_fn(|_| Slot::new()) }
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            version: Version::new(),
            callsite: AtomicU32::new(0),
            number: AtomicU64::new(0),
            parent: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            opened_after: AtomicU32::new(0),
            entered_after: AtomicU32::new(0),
            inside: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            task: AtomicU32::new(0),
            follows: AtomicU32::new(0),
            threads: std::array::from_fn(|_| AtomicU32::new(0)),
            length: AtomicU32::new(0),
            fields: Words::new(),
        }
    }

    fn fill(&self, number: Number, opening: &Opening<'_>) {
        let Opening { callsite, parent, fields, now, forks } = *opening;
        self.callsite.store(Callsite::to_bits(Some(callsite)), Ordering::Relaxed);
        self.number.store(number.get(), Ordering::Relaxed);
        self.parent.store(Number::to_bits(parent), Ordering::Relaxed);
        self.opened.store(now, Ordering::Relaxed);
        self.opened_after.store(forks, Ordering::Relaxed);
        self.inside.store(0, Ordering::Relaxed);
        self.changed.store(0, Ordering::Relaxed);
        self.task.store(0, Ordering::Relaxed);
        self.follows.store(0, Ordering::Relaxed);
        self.set_fields(fields);
    }

    fn set_fields(&self, fields: &[u8]) {
        self.fields.store(0, fields);
        self.length.store(u32::try_from(fields.len()).unwrap_or_default(), Ordering::Relaxed);
    }

    fn field_bytes(&self) -> usize {
        usize::try_from(self.length.load(Ordering::Relaxed)).unwrap_or_default()
    }

    fn is(&self, number: Number) -> bool {
        self.number.load(Ordering::Relaxed) == number.get()
    }

    fn enter(&self, entering: Entering) {
        let Entering { now, tid, task, forks } = entering;
        // Before the count: whoever sees that a thread is inside sees since when.
        self.changed.store(now, Ordering::Relaxed);
        self.task.store(task, Ordering::Relaxed);
        self.entered_after.store(forks, Ordering::Relaxed);
        let before = self.inside.fetch_add(1_u64.wrapping_sub(now << COUNT_BITS), Ordering::AcqRel);
        if before & COUNT == 0 {
            self.threads[0].store(tid, Ordering::Relaxed);
        } else {
            self.enter_beside(tid);
        }
    }

    /// Notes the thread while another one is inside, or the same one.
    #[cold]
    fn enter_beside(&self, tid: u32) {
        for thread in &self.threads[1..] {
            if thread.compare_exchange(0, tid, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    fn leave(&self, now: u64, tid: u32) {
        if self.inside.load(Ordering::Relaxed) & COUNT == 0 {
            return;
        }
        if self.threads[0].load(Ordering::Relaxed) == tid {
            self.threads[0].store(0, Ordering::Relaxed);
        } else {
            self.leave_beside(tid);
        }
        self.changed.store(now, Ordering::Relaxed);
        self.inside.fetch_add((now << COUNT_BITS).wrapping_sub(1), Ordering::AcqRel);
    }

    #[cold]
    fn leave_beside(&self, tid: u32) {
        for thread in &self.threads[1..] {
            if thread.compare_exchange(tid, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// `None` if the slot is being filled, or for a callsite that is not known.
    fn see(&self, now: u64) -> Option<Seen> {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let (number, callsite, parent, opened, fields) = self.version.read(|| {
            let fields = self.fields.load(0, self.field_bytes());
            let callsite = self.callsite.load(Ordering::Relaxed);
            (load(&self.number), callsite, load(&self.parent), load(&self.opened), fields)
        })?;
        // The count first: see `enter`.
        let inside = self.inside.load(Ordering::Acquire);
        let changed = load(&self.changed);
        let threads = self.threads.iter().map(|thread| thread.load(Ordering::Relaxed));
        let mut threads: Vec<u32> = threads.filter(|tid| *tid != 0).collect();
        threads.sort_unstable();
        threads.dedup();
        let count = inside & COUNT;
        let until_now = (inside >> COUNT_BITS).wrapping_add(count.wrapping_mul(now));
        // A sum of signed numbers: a thread may have entered after `now` was read.
        let busy = (until_now << COUNT_BITS).cast_signed() >> COUNT_BITS;
        let busy = u64::try_from(busy).unwrap_or(0);
        let entered = usize::try_from(count).unwrap_or_default();
        threads.truncate(entered);
        Some(Seen {
            number: Number::from_bits(number)?,
            callsite: Callsite::from_bits(callsite)?,
            parent: Number::from_bits(parent),
            follows: Callsite::from_bits(self.follows.load(Ordering::Relaxed)),
            opened,
            opened_after: self.opened_after.load(Ordering::Relaxed),
            entered_after: self.entered_after.load(Ordering::Relaxed),
            changed,
            busy,
            entered,
            threads,
            task: self.task.load(Ordering::Relaxed),
            fields,
        })
    }
}

impl OpenSpans {
    pub(super) fn new() -> Self {
        let spans = Self { arrays: std::array::from_fn(|_| SetOnce::new()), lost: AtomicU64::new(0) };
        spans.arrays[0].get_or_set(|| array(0));
        spans
    }

    /// Adds a span. `None` if there is no room for it.
    pub(super) fn open(&self, id: u64, opening: &Opening<'_>) -> Option<Number> {
        let number = self.take(id).and_then(|(bucket, lane, index)| {
            let slot = &bucket.slots[lane];
            let number = slot.version.change().and_then(|change| {
                let number = Number::new(index, change.ends())?;
                slot.fill(number, opening);
                Some(number)
            });
            bucket.ids[lane].store(if number.is_some() { id } else { 0 }, Ordering::Release);
            number
        });
        if number.is_none() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        number
    }

    /// Takes a free slot for a span. Returns its bucket, its place there, and its index.
    fn take(&self, id: u64) -> Option<(&Bucket, usize, usize)> {
        for (array, buckets) in self.arrays.iter().enumerate() {
            let buckets = match buckets.get() {
                Some(buckets) => buckets,
                None => self.allocate(array)?,
            };
            let place = place(id, buckets.len());
            let bucket = &buckets[place];
            if let Some(lane) = bucket.ids.iter().position(|word| is_taken(word, id)) {
                return Some((bucket, lane, first_index(array) + place * LANES + lane));
            }
        }
        None
    }

    /// Removes a span.
    pub(super) fn close(&self, id: u64) {
        if let Some((bucket, lane)) = self.find(id) {
            bucket.ids[lane].store(0, Ordering::Release);
        }
    }

    /// Notes that a thread enters a span. `None` if the span is not known.
    pub(super) fn enter(&self, id: u64, entering: Entering) -> Option<Number> {
        let (bucket, lane) = self.find(id)?;
        let slot = &bucket.slots[lane];
        slot.enter(entering);
        Number::from_bits(slot.number.load(Ordering::Relaxed))
    }

    /// Notes that a thread leaves a span, given its number if that is known.
    pub(super) fn leave(&self, id: u64, number: Option<Number>, now: u64, tid: u32) {
        let slot = number.and_then(|number| self.slot(number));
        let found = || self.find(id).map(|(bucket, lane)| &bucket.slots[lane]);
        if let Some(slot) = slot.or_else(found) {
            slot.leave(now, tid);
        }
    }

    /// Adds fields to those of a span, and replaces those that it has. False if another thread is
    /// doing so.
    pub(super) fn record(&self, id: u64, fields: &mut Encoder<FIELD_BYTES>) -> bool {
        let Some((bucket, lane)) = self.find(id) else { return true };
        let slot = &bucket.slots[lane];
        let Some(_change) = slot.version.change() else { return false };
        fields.keep(&slot.fields.load(0, slot.field_bytes()));
        slot.set_fields(fields.bytes());
        true
    }

    /// Notes that a span follows from another one. The first one counts.
    pub(super) fn follow(&self, id: u64, follows: u64) {
        if let (Some((bucket, lane)), Some((others, other))) = (self.find(id), self.find(follows)) {
            let callsite = others.slots[other].callsite.load(Ordering::Relaxed);
            let word = &bucket.slots[lane].follows;
            let _ = word.compare_exchange(0, callsite, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The number of a span.
    pub(super) fn number(&self, id: u64) -> Option<Number> {
        let (bucket, lane) = self.find(id)?;
        Number::from_bits(bucket.slots[lane].number.load(Ordering::Relaxed))
    }

    /// Copies the callsite and the fields of a span that is open. Returns the callsite, how many
    /// bytes of fields it has, and how many had room.
    pub(super) fn copy_fields<const N: usize>(
        &self,
        number: Number,
        to: &Words<N>,
        first: usize,
    ) -> Option<(u32, usize, usize)> {
        let slot = self.slot(number)?;
        slot.version.read(|| {
            let length = slot.field_bytes();
            (slot.callsite.load(Ordering::Relaxed), length, to.copy(first, &slot.fields, length))
        })
    }

    /// All spans, and how many are missing because they could not be read or had no room.
    pub(super) fn all(&self, now: u64) -> (Vec<Seen>, u64) {
        let (mut all, mut unread) = (Vec::new(), 0);
        for bucket in self.arrays.iter().filter_map(SetOnce::get).flatten() {
            for (word, slot) in bucket.ids.iter().zip(&bucket.slots) {
                let id = word.load(Ordering::Acquire);
                if id == 0 || id == CLAIMED {
                    continue;
                }
                let seen = slot.see(now);
                // Nothing of the slot is read after the id is compared.
                fence(Ordering::Acquire);
                if word.load(Ordering::Relaxed) == id {
                    unread += u64::from(seen.is_none());
                    all.extend(seen);
                }
            }
        }
        (all, unread)
    }

    /// How many spans had no room.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn slot(&self, number: Number) -> Option<&Slot> {
        let index = number.index();
        // Array `a` begins with the index `FIRST * (2^a - 1)`.
        let array = usize::try_from((index / FIRST + 1).ilog2()).ok()?;
        let within = index - first_index(array);
        let bucket = self.arrays.get(array)?.get()?.get(within / LANES)?;
        Some(&bucket.slots[within % LANES]).filter(|slot| slot.is(number))
    }

    /// The bucket and the place in it of an open span.
    fn find(&self, id: u64) -> Option<(&Bucket, usize)> {
        for array in &self.arrays {
            let buckets = array.get()?;
            let bucket = &buckets[place(id, buckets.len())];
            if let Some(lane) = bucket.ids.iter().position(|word| word.load(Ordering::Acquire) == id) {
                return Some((bucket, lane));
            }
        }
        None
    }

    #[cold]
    fn allocate(&self, index: usize) -> Option<&[Bucket]> {
        for _ in 0..ATTEMPTS {
            if let Some(buckets) = self.arrays[index].get_or_set(|| array(index)) {
                return Some(buckets);
            }
            std::thread::yield_now();
        }
        None
    }
}

/// Takes a free slot, or the one of an earlier span with the same id, whose end was not noted.
fn is_taken(word: &AtomicU64, id: u64) -> bool {
    let present = word.load(Ordering::Relaxed);
    (present == 0 || present == id)
        && word.compare_exchange(present, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

fn array(index: usize) -> Box<[Bucket]> {
    (0..(FIRST << index) / LANES).map(|_| Bucket::new()).collect()
}

/// The index of the first slot of this array.
fn first_index(array: usize) -> usize {
    FIRST * ((1 << array) - 1)
}

/// The bucket of a span among this many, a power of two. The registry counts in the upper bits of an id how often
/// its entry was used, and uses the same entries again: without those bits, so are slots, which are
/// in the cache then.
fn place(id: u64, buckets: usize) -> usize {
    const GENERATION_BITS: u32 = 14;
    let hash = (id << GENERATION_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(hash >> 40).unwrap_or_default() & (buckets - 1)
}
