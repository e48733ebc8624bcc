//! Which threads are inside a span, since when and in which task, and how long threads have been
//! inside altogether. The program's threads enter and leave, and a report reads, each without
//! waiting for another one.

use super::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sys::sort;

/// How many threads are kept. Others are only counted.
pub(super) const KEPT: usize = 4;

/// The bits of [`Inside::sum`] that count threads.
const COUNT_BITS: u32 = 16;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// The bits of [`Place::who`] that are the thread's id. Linux has ids of at most 22 bits.
const TID_BITS: u32 = 24;
const TID: u64 = (1 << TID_BITS) - 1;

/// In [`Place::who`], while a thread takes the place. No thread has this id.
const CLAIMED: u64 = TID;

/// Times are kept in units of 1,024 microseconds, about a millisecond: sums then have room for
/// thousands of years, and times since the start of the machine for decades.
const TICK_BITS: u32 = 10;

/// Who enters a span, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entering {
    /// Microseconds.
    pub(super) now: u64,
    pub(super) tid: u32,
    /// The task that the thread is polling, as [`task::here`](crate::task::here) gives it.
    pub(super) task: u32,
}

#[derive(Debug)]
pub(super) struct Inside {
    /// In the lower bits, how often threads are inside now. Above, the sum of the times when they
    /// have left, minus the sum of the times when they have entered.
    sum: AtomicU64,
    /// When a thread has last left; 0 if none has.
    left: AtomicU64,
    /// The task in which it did.
    left_by: AtomicU32,
    /// The first place belongs to the thread that entered while no other one was inside.
    places: [Place; KEPT],
}

/// One thread inside.
#[derive(Debug)]
struct Place {
    /// When it has entered, in the upper bits, and its id; 0 if the place is free.
    who: AtomicU64,
    task: AtomicU32,
}

/// What a report reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The threads that are inside, as far as they are known, by id.
    pub(super) threads: Vec<SeenThread>,
    /// How many threads more are inside at most: one that has entered several times may be counted
    /// as often.
    pub(super) others: usize,
    /// Microseconds that threads have been inside, added up.
    pub(super) busy: u64,
    /// When a thread has last left, in microseconds. `None` if none has.
    pub(super) left: Option<u64>,
    /// The task in which it did.
    pub(super) left_by: u32,
}

/// A thread that is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenThread {
    pub(super) tid: u32,
    /// When it has entered, in microseconds.
    pub(super) since: u64,
    pub(super) task: u32,
}

impl Place {
    const fn tid(who: u64) -> u64 {
        who & TID
    }

    /// The word for a thread. `None` for an id that does not fit.
    #[inline]
    fn word(entering: Entering) -> Option<u64> {
        let tid = u64::from(entering.tid);
        (0 < tid && tid < CLAIMED).then_some(ticks(entering.now) << TID_BITS | tid)
    }

    /// Notes the thread here. Only for the thread that the place belongs to.
    #[inline]
    fn fill(&self, who: u64, task: u32) {
        // A report that reads this task sees that the place is not the previous thread's.
        self.task.store(task, Ordering::Release);
        self.who.store(who, Ordering::Release);
    }

    #[inline]
    fn clear(&self) {
        self.who.store(0, Ordering::Relaxed);
    }

    fn see(&self) -> Option<SeenThread> {
        let who = self.who.load(Ordering::Acquire);
        let task = self.task.load(Ordering::Relaxed);
        // The task is read before the thread is compared.
        fence(Ordering::Acquire);
        let is_filled = who != 0 && who != CLAIMED && self.who.load(Ordering::Relaxed) == who;
        let tid = u32::try_from(Self::tid(who)).unwrap_or_default();
        is_filled.then_some(SeenThread { tid, since: (who >> TID_BITS) << TICK_BITS, task })
    }
}

#[inline]
const fn ticks(microseconds: u64) -> u64 {
    microseconds >> TICK_BITS
}

impl Inside {
    pub(super) fn new() -> Self {
        Self {
            sum: AtomicU64::new(0),
            left: AtomicU64::new(0),
            left_by: AtomicU32::new(0),
            places: std::array::from_fn(|_| Place { who: AtomicU64::new(0), task: AtomicU32::new(0) }),
        }
    }

    /// Forgets everything, for a new span.
    #[inline]
    pub(super) fn reset(&self) {
        self.sum.store(0, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
        self.left_by.store(0, Ordering::Relaxed);
        self.places.iter().for_each(Place::clear);
    }

    #[inline]
    pub(super) fn enter(&self, entering: Entering) {
        let change = 1_u64.wrapping_sub(ticks(entering.now) << COUNT_BITS);
        let before = self.sum.fetch_add(change, Ordering::AcqRel);
        let Some(who) = Place::word(entering) else { return };
        if before & COUNT == 0 {
            self.places[0].fill(who, entering.task);
        } else {
            self.enter_beside(who, entering.task);
        }
    }

    /// Notes the thread while another one is inside, or the same one.
    #[cold]
    fn enter_beside(&self, who: u64, task: u32) {
        let claim = |place: &&Place| {
            place.who.compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        if let Some(place) = self.places[1..].iter().find(claim) {
            place.fill(who, task);
        }
    }

    #[inline]
    pub(super) fn leave(&self, leaving: Entering) {
        let Entering { now, tid, task } = leaving;
        match self.sum.load(Ordering::Relaxed) & COUNT {
            0 => return,
            1 if Place::tid(self.places[0].who.load(Ordering::Relaxed)) == u64::from(tid) => {
                self.places[0].clear();
            }
            _ => self.leave_beside(tid),
        }
        self.left_by.store(task, Ordering::Relaxed);
        self.left.store(now, Ordering::Relaxed);
        self.sum.fetch_add((ticks(now) << COUNT_BITS).wrapping_sub(1), Ordering::AcqRel);
    }

    /// Forgets the thread, which may be inside several times: the last one.
    #[cold]
    fn leave_beside(&self, tid: u32) {
        let who = |place: &&Place| place.who.load(Ordering::Relaxed);
        let own = self.places.iter().filter(|place| Place::tid(who(place)) == u64::from(tid));
        if let (1.., Some(place)) = (tid, own.max_by_key(who)) {
            place.clear();
        }
    }

    /// In a forked child, before anything else happens there: forgets the threads of the parent,
    /// which were inside until the fork.
    pub(super) fn forget_threads(&self, now: u64) {
        let sum = self.sum.load(Ordering::Relaxed);
        let count = sum & COUNT;
        // Not written otherwise: the child shares the memory with its parent until one writes.
        if count > 0 {
            let all_leave = count.wrapping_mul(ticks(now) << COUNT_BITS).wrapping_sub(count);
            self.sum.store(sum.wrapping_add(all_leave), Ordering::Relaxed);
            self.left.store(now, Ordering::Relaxed);
            self.left_by.store(0, Ordering::Relaxed);
            self.places.iter().for_each(Place::clear);
        }
    }

    /// In a forked child, after that: notes that the thread is inside, and since when it is.
    pub(super) fn enter_again(&self, entering: Entering, now: u64) {
        self.enter(entering);
        // The time until the fork is in the sum already.
        let counted = ticks(now).wrapping_sub(ticks(entering.now)) << COUNT_BITS;
        self.sum.fetch_sub(counted, Ordering::Relaxed);
    }

    pub(super) fn see(&self, now: u64) -> Seen {
        let sum = self.sum.load(Ordering::Acquire);
        let count = sum & COUNT;
        // A sum of signed numbers: a thread may have entered after `now` was read.
        let until_now = (sum >> COUNT_BITS).wrapping_add(count.wrapping_mul(ticks(now)));
        let busy = (until_now << COUNT_BITS).cast_signed() >> COUNT_BITS;
        let all: Vec<SeenThread> = self.places.iter().filter_map(Place::see).collect();
        let others = usize::try_from(count).unwrap_or_default().saturating_sub(all.len());
        // A thread that is inside several times is shown once, with the first time.
        let mut threads = all;
        sort::by_key(&mut threads, |thread| (thread.tid, thread.since));
        threads.dedup_by_key(|thread| thread.tid);
        let left = self.left.load(Ordering::Relaxed);
        Seen {
            threads,
            others,
            busy: u64::try_from(busy).unwrap_or(0) << TICK_BITS,
            left: (left > 0).then_some(left),
            left_by: self.left_by.load(Ordering::Relaxed),
        }
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    /// A millisecond, as it is kept.
    const MS: u64 = 1 << TICK_BITS;

    fn at(ms: u64, tid: u32) -> Entering {
        Entering { now: ms * MS, tid, task: tid.wrapping_add(100) }
    }

    fn thread(tid: u32, since_ms: u64) -> SeenThread {
        SeenThread { tid, since: since_ms * MS, task: 100 + tid }
    }

    #[test]
    fn each_thread_has_its_own_time() {
        let inside = Inside::new();
        let nobody = Seen { threads: Vec::new(), others: 0, busy: 0, left: None, left_by: 0 };
        assert_eq!(inside.see(MS), nobody);
        inside.enter(at(10, 7));
        inside.enter(at(20, 5));
        let both = Seen { threads: vec![thread(5, 20), thread(7, 10)], busy: 30 * MS, ..nobody.clone() };
        assert_eq!(inside.see(30 * MS), both);
        inside.leave(at(40, 7));
        let seen = inside.see(40 * MS);
        assert_eq!((seen.threads, seen.busy), (vec![thread(5, 20)], 50 * MS));
        assert_eq!((seen.left, seen.left_by), (Some(40 * MS), 107));
        // It does not get the place of the first one.
        inside.enter(at(50, 7));
        assert_eq!(inside.see(50 * MS).threads, [thread(5, 20), thread(7, 50)]);
        inside.leave(at(60, 5));
        inside.leave(at(60, 7));
        let seen = inside.see(99 * MS);
        assert_eq!((seen.threads, seen.others, seen.busy), (Vec::new(), 0, (30 + 40 + 10) * MS));
        // It has left already.
        inside.leave(at(70, 7));
        assert_eq!(inside.see(99 * MS).busy, 80 * MS);
    }

    #[test]
    fn a_thread_inside_twice_is_shown_once_since_the_first_time() {
        let inside = Inside::new();
        for ms in [10, 20, 30] {
            inside.enter(at(ms, 7));
        }
        for ms in [40, 50, 60] {
            let seen = inside.see(ms * MS);
            assert_eq!((seen.threads, seen.others), (vec![thread(7, 10)], 0));
            inside.leave(at(ms, 7));
        }
        assert_eq!(inside.see(0).threads, []);
    }

    #[test]
    fn threads_that_have_no_place_are_counted() {
        let inside = Inside::new();
        for tid in 1..=6 {
            inside.enter(at(10, tid));
        }
        // An id that is not known.
        inside.enter(at(10, 0));
        inside.enter(at(10, u32::MAX));
        let seen = inside.see(10 * MS);
        assert_eq!((seen.threads.len(), seen.others), (KEPT, 4));
        for tid in (0..=6).chain([u32::MAX]) {
            inside.leave(at(20, tid));
        }
        let seen = inside.see(30 * MS);
        assert_eq!((seen.threads, seen.others, seen.busy), (Vec::new(), 0, 80 * MS));
    }

    #[test]
    fn sums_have_room_for_a_thousand_threads_and_a_year() {
        const YEAR: u64 = 365 * 24 * 3_600 * 1_000_000;
        let inside = Inside::new();
        (1..=1_000).for_each(|tid| inside.enter(Entering { now: YEAR, tid, task: 0 }));
        let busy = inside.see(2 * YEAR).busy;
        assert!(busy.abs_diff(1_000 * YEAR) < 1_000 * MS, "{busy}");
    }

    #[test]
    fn a_forked_child_has_one_thread() {
        let inside = Inside::new();
        for (ms, tid) in [(10, 7), (20, 8), (30, 9)] {
            inside.enter(at(ms, tid));
        }
        // The second one forks. Its id is another one in the child.
        inside.forget_threads(40 * MS);
        let seen = inside.see(50 * MS);
        assert_eq!((seen.threads, seen.busy, seen.left), (Vec::new(), 60 * MS, Some(40 * MS)));
        inside.enter_again(at(20, 1), 40 * MS);
        let seen = inside.see(50 * MS);
        assert_eq!((seen.threads, seen.others, seen.busy), (vec![thread(1, 20)], 0, 70 * MS));
        inside.leave(at(60, 1));
        let seen = inside.see(99 * MS);
        assert_eq!((seen.threads, seen.others, seen.busy), (Vec::new(), 0, 80 * MS));
    }
}
