//! The open spans of one layer: a hash table of slots. Opening, entering, leaving and closing a
//! span takes a few atomic operations on its slot. No thread waits for another one, and reports
//! only read.
//!
//! The table consists of several arrays, each twice as long as the one before, in chunks of the
//! same size. A span is in the first array in which its bucket has a free slot. Chunks are
//! allocated when they are needed and stay allocated. Spans for which no array has room are
//! counted.

use std::num::NonZeroU64;

use super::callsites::Callsite;
use super::fields::Encoder;
use super::inside::{self, Entering, Inside};
use super::seqlock::{Version, Words};
use super::set_once::SetOnce;
use super::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Bytes for the fields of a span. A path, a method, ids and a peer take about 150.
#[cfg(not(all(test, gmr_loom)))]
pub(super) const FIELD_BYTES: usize = 320;
/// The model checker's threads have small stacks, and its atomics are large.
#[cfg(all(test, gmr_loom))]
pub(super) const FIELD_BYTES: usize = 16;

/// Slots of a bucket. Their ids are in one cache line.
#[cfg(not(all(test, gmr_loom)))]
const LANES: usize = 8;
#[cfg(all(test, gmr_loom))]
const LANES: usize = 1;

/// Buckets of a chunk. It takes 115 KB: so little that threads which need the same one at the same
/// time can each make one.
#[cfg(not(all(test, gmr_loom)))]
const BUCKETS: usize = 32;
#[cfg(all(test, gmr_loom))]
const BUCKETS: usize = 1;

/// Slots of a chunk.
const CHUNK: usize = BUCKETS * LANES;

/// Array `a` has `2^a` chunks. Together they have room for 65,280 spans, in 30 MB.
#[cfg(not(all(test, gmr_loom)))]
const ARRAYS: u32 = 8;
#[cfg(all(test, gmr_loom))]
const ARRAYS: u32 = 1;

/// Chunks of all arrays.
const CHUNKS: usize = (1 << ARRAYS) - 1;

/// In place of an id, while a slot is being filled. No span has this id: the registry's are numbers
/// of entries.
const CLAIMED: u64 = u64::MAX;

/// Identifies a span for as long as the process runs: the slot in the lower bits, and how often
/// that was changed in the upper ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Number(NonZeroU64);

impl Number {
    /// Bits that are the slot's index. The others overflow after 2⁴⁸ changes of one slot, which
    /// take decades at one each few microseconds.
    const INDEX_BITS: u32 = 16;

    #[inline]
    fn new(index: usize, changes: u64) -> Option<Self> {
        let index = u64::try_from(index).unwrap_or_default() + 1;
        NonZeroU64::new(changes << Self::INDEX_BITS | index).map(Self)
    }

    #[inline]
    fn index(self) -> usize {
        usize::try_from((self.0.get() & ((1 << Self::INDEX_BITS) - 1)) - 1).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }

    /// As a word; 0 stands for none.
    #[inline]
    pub(super) fn to_bits(number: Option<Self>) -> u64 {
        number.map_or(0, |number| number.0.get())
    }

    #[inline]
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }
}

#[derive(Debug)]
pub(super) struct OpenSpans {
    chunks: [SetOnce<Box<[Bucket]>>; CHUNKS],
    /// Spans that had no room.
    lost: AtomicU64,
}

#[derive(Debug)]
struct Bucket {
    /// The registry's ids of the spans in the slots; 0 if the slot is free.
    ids: [AtomicU64; LANES],
    slots: [Slot; LANES],
}

/// A span. `version` covers what does not change while it is open, and the fields. The other values
/// are changed on their own.
#[derive(Debug)]
struct Slot {
    version: Version,
    number: AtomicU64,
    inside: Inside,
    parent: AtomicU64,
    opened: AtomicU64,
    callsite: AtomicU32,
    /// How often this process was forked from another one before the span was opened.
    opened_after: AtomicU32,
    /// The callsite of the span that this one follows.
    follows: AtomicU32,
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

/// An open span, as a report reads it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) number: Number,
    pub(super) callsite: Callsite,
    pub(super) parent: Option<Number>,
    pub(super) follows: Option<Callsite>,
    pub(super) opened: u64,
    pub(super) opened_after: u32,
    pub(super) inside: inside::Seen,
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
            number: AtomicU64::new(0),
            inside: Inside::new(),
            parent: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            callsite: AtomicU32::new(0),
            opened_after: AtomicU32::new(0),
            follows: AtomicU32::new(0),
            length: AtomicU32::new(0),
            fields: Words::new(),
        }
    }

    #[inline]
    fn fill(&self, number: Number, opening: &Opening<'_>) {
        let Opening { callsite, parent, fields, now, forks } = *opening;
        self.callsite.store(Callsite::to_bits(Some(callsite)), Ordering::Relaxed);
        self.number.store(number.get(), Ordering::Relaxed);
        self.parent.store(Number::to_bits(parent), Ordering::Relaxed);
        self.opened.store(now, Ordering::Relaxed);
        self.opened_after.store(forks, Ordering::Relaxed);
        self.follows.store(0, Ordering::Relaxed);
        self.inside.reset();
        self.set_fields(fields);
    }

    #[inline]
    fn set_fields(&self, fields: &[u8]) {
        self.fields.store(0, fields);
        self.length.store(u32::try_from(fields.len()).unwrap_or_default(), Ordering::Relaxed);
    }

    #[inline]
    fn field_bytes(&self) -> usize {
        usize::try_from(self.length.load(Ordering::Relaxed)).unwrap_or_default()
    }

    #[inline]
    fn is(&self, number: Number) -> bool {
        self.number.load(Ordering::Relaxed) == number.get()
    }

    /// `None` if the slot is being filled, or for a callsite that is not known.
    fn see(&self, now: u64) -> Option<Seen> {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let (number, callsite, parent, opened, fields) = self.version.read(|| {
            let fields = self.fields.load(0, self.field_bytes());
            let callsite = self.callsite.load(Ordering::Relaxed);
            (load(&self.number), callsite, load(&self.parent), load(&self.opened), fields)
        })?;
        Some(Seen {
            number: Number::from_bits(number)?,
            callsite: Callsite::from_bits(callsite)?,
            parent: Number::from_bits(parent),
            follows: Callsite::from_bits(self.follows.load(Ordering::Relaxed)),
            opened,
            opened_after: self.opened_after.load(Ordering::Relaxed),
            inside: self.inside.see(now),
            fields,
        })
    }
}

impl OpenSpans {
    pub(super) fn new() -> Self {
        let spans = Self { chunks: [const { SetOnce::new() }; CHUNKS], lost: AtomicU64::new(0) };
        spans.chunks[0].get_or_set(chunk);
        spans
    }

    /// Adds a span. `None` if there is no room for it.
    #[inline]
    pub(super) fn open(&self, id: u64, opening: &Opening<'_>) -> Option<Number> {
        let number = self.take(id).and_then(|(bucket, lane, index)| {
            let slot = &bucket.slots[lane];
            let number = slot.version.change().and_then(|change| {
                let number = Number::new(index, change.count())?;
                slot.fill(number, opening);
                Some(number)
            });
            bucket.ids[lane].store(if number.is_some() { id } else { 0 }, Ordering::Release);
            number
        });
        if number.is_none() {
            self.lose();
        }
        number
    }

    /// Counts a span that is not recorded.
    #[cold]
    pub(super) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a free slot for a span. Returns its bucket, its place there, and its index.
    #[inline]
    fn take(&self, id: u64) -> Option<(&Bucket, usize, usize)> {
        let hash = hash(id);
        for array in 0..ARRAYS {
            let (chunk, place) = place(hash, array);
            // Allocated by this call if it is not there. No other thread is waited for.
            let bucket = self.chunks[chunk].get_or_set(self::chunk)?.get(place)?;
            if let Some(lane) = bucket.ids.iter().position(|word| is_taken(word, id)) {
                return Some((bucket, lane, chunk * CHUNK + place * LANES + lane));
            }
        }
        None
    }

    /// Removes a span.
    #[inline]
    pub(super) fn close(&self, id: u64) {
        if let Some((bucket, lane)) = self.find(id) {
            bucket.ids[lane].store(0, Ordering::Release);
        }
    }

    /// Notes that a thread enters a span. `None` if the span is not known.
    #[inline]
    pub(super) fn enter(&self, id: u64, entering: Entering) -> Option<Number> {
        let (bucket, lane) = self.find(id)?;
        let slot = &bucket.slots[lane];
        slot.inside.enter(entering);
        Number::from_bits(slot.number.load(Ordering::Relaxed))
    }

    /// Notes that a thread leaves a span, given its number if that is known.
    #[inline]
    pub(super) fn leave(&self, id: u64, number: Option<Number>, leaving: Entering) {
        let slot = number.and_then(|number| self.slot(number));
        let found = || self.find(id).map(|(bucket, lane)| &bucket.slots[lane]);
        if let Some(slot) = slot.or_else(found) {
            slot.inside.leave(leaving);
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
    #[inline]
    pub(super) fn number(&self, id: u64) -> Option<Number> {
        let (bucket, lane) = self.find(id)?;
        Number::from_bits(bucket.slots[lane].number.load(Ordering::Relaxed))
    }

    /// Copies the callsite and the fields of a span that is open. Returns the callsite, how many
    /// bytes of fields it has, and how many had room.
    #[inline]
    pub(super) fn copy_fields<const N: usize>(
        &self,
        number: Number,
        to: &Words<N>,
        first: usize,
    ) -> Option<(u32, usize, usize)> {
        let slot = self.slot(number)?;
        let copy = || {
            let length = slot.field_bytes();
            (slot.callsite.load(Ordering::Relaxed), length, to.copy(first, &slot.fields, length))
        };
        // Compared with the rest: the span may have been closed, and the slot filled again.
        slot.version.read(|| slot.is(number).then(copy))?
    }

    /// All spans, and how many are missing because they could not be read.
    pub(super) fn all(&self, now: u64) -> (Vec<Seen>, u64) {
        let (mut all, mut unread) = (Vec::new(), 0);
        for bucket in self.buckets() {
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

    /// In a forked child, before anything else happens there: removes what only the parent's other
    /// threads did. `for_each` calls its argument with each span that the only thread is inside;
    /// `tid` is the id that it has now. Returns how many changes of fields are lost.
    pub(super) fn after_fork(
        &self,
        now: u64,
        tid: u32,
        for_each: impl FnOnce(&mut dyn FnMut(Number, Entering)),
    ) -> u64 {
        let mut lost_changes = 0;
        for bucket in self.buckets() {
            for (word, slot) in bucket.ids.iter().zip(&bucket.slots) {
                let is_lost = slot.version.end_lost_change();
                match word.load(Ordering::Relaxed) {
                    0 => {}
                    // It was about to be filled, or was being filled.
                    CLAIMED => word.store(0, Ordering::Release),
                    _ => {
                        slot.inside.forget_threads(now);
                        if is_lost {
                            slot.length.store(0, Ordering::Relaxed);
                            lost_changes += 1;
                        }
                    }
                }
            }
        }
        for_each(&mut |number, entering| {
            if let Some(slot) = self.slot(number) {
                slot.inside.enter_again(Entering { tid, ..entering }, now);
            }
        });
        lost_changes
    }

    fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.chunks.iter().filter_map(SetOnce::get).flatten()
    }

    #[inline]
    fn slot(&self, number: Number) -> Option<&Slot> {
        let index = number.index();
        let bucket = self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK / LANES)?;
        Some(&bucket.slots[index % LANES]).filter(|slot| slot.is(number))
    }

    /// The bucket and the place in it of an open span.
    #[inline]
    fn find(&self, id: u64) -> Option<(&Bucket, usize)> {
        let hash = hash(id);
        for array in 0..ARRAYS {
            let (chunk, place) = place(hash, array);
            // If it is not there, no span with this hash has needed it, nor one of a longer array.
            let bucket = self.chunks[chunk].get()?.get(place)?;
            if let Some(lane) = bucket.ids.iter().position(|word| word.load(Ordering::Acquire) == id) {
                return Some((bucket, lane));
            }
        }
        None
    }
}

/// Takes a free slot, or the one of an earlier span with the same id, whose end was not noted.
#[inline]
fn is_taken(word: &AtomicU64, id: u64) -> bool {
    let present = word.load(Ordering::Relaxed);
    (present == 0 || present == id)
        && word.compare_exchange(present, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
}

fn chunk() -> Box<[Bucket]> {
    (0..BUCKETS).map(|_| Bucket::new()).collect()
}

/// The hash of an id of the registry. That counts in the upper bits of an id how often its entry
/// was used, and uses the same entries again: without those bits, so are slots, which are in the
/// cache then.
#[inline]
fn hash(id: u64) -> usize {
    const GENERATION_BITS: u32 = 14;
    let hash = (id << GENERATION_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(hash >> 40).unwrap_or_default()
}

/// The chunk of a span in this array, and its bucket there.
#[inline]
fn place(hash: usize, array: u32) -> (usize, usize) {
    let chunks = 1 << array;
    // Both are powers of two. The first array has the first chunk.
    (chunks - 1 + ((hash / BUCKETS) & (chunks - 1)), hash & (BUCKETS - 1))
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_being_written_at_a_fork_can_be_written_again() {
        let callsite = Callsite::from_bits(1).unwrap();
        let opening = Opening { callsite, parent: None, fields: &[1; 8], now: 1, forks: 0 };
        let spans = OpenSpans::new();
        for id in 1..=3 {
            spans.open(id, &opening).unwrap();
        }
        // Threads that the child does not have were recording fields of the first span, and opening
        // the third one.
        let slot = |id| {
            let (bucket, lane) = spans.find(id).unwrap();
            (&bucket.slots[lane], &bucket.ids[lane])
        };
        let ((first, _), (third, id)) = (slot(1), slot(3));
        id.store(CLAIMED, Ordering::Relaxed);
        for slot in [first, third] {
            std::mem::forget(slot.version.change());
        }
        let lengths = |seen: &[Seen]| seen.iter().map(|span| span.fields.len()).collect::<Vec<_>>();
        let (seen, unread) = spans.all(2);
        assert_eq!((lengths(&seen), unread), (vec![8], 1));

        assert_eq!(spans.after_fork(2, 1, |_| ()), 1);
        let (seen, unread) = spans.all(2);
        let mut all = lengths(&seen);
        all.sort_unstable();
        assert_eq!((all, unread), (vec![0, 8], 0));
        assert!(spans.record(1, &mut Encoder::new()) && spans.open(3, &opening).is_some());
        assert_eq!(spans.after_fork(2, 1, |_| ()), 0, "nothing is lost a second time");
    }

    #[test]
    fn chunks_of_an_array_follow_those_of_the_one_before() {
        let chunks: Vec<_> = (0..ARRAYS)
            .flat_map(|array| (0..1 << array).map(move |chunk| place(chunk * BUCKETS, array).0))
            .collect();
        assert_eq!(chunks, (0..CHUNKS).collect::<Vec<_>>());
        for hash in [0, 31, 32, usize::MAX] {
            assert!((0..ARRAYS).all(|array| place(hash, array).1 < BUCKETS));
        }
        for (index, changes) in [(0, 0), (CHUNKS * CHUNK - 1, (1 << 48) - 1)] {
            let number = Number::new(index, changes).unwrap();
            assert_eq!((number.index(), number.get() >> 16), (index, changes));
        }
    }
}
