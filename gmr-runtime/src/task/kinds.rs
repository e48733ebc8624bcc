//! The kinds of which a task has completed in time, for the option `slow_task`. A kind is a name
//! and the place where tasks of it are spawned. It looks at no task that is running.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::entry::Entry;

/// The limit in milliseconds. 0 if the option is not set: then nothing is noted about tasks.
static LIMIT: AtomicU64 = AtomicU64::new(0);

/// How many kinds of tasks can be noted. A program has some dozens.
const KINDS: usize = 512;

/// The kinds of which a task has completed within the limit; 0 where there is none.
static KNOWN: [AtomicUsize; KINDS] = [const { AtomicUsize::new(0) }; KINDS];

/// How many places of [`KNOWN`] a kind may have. One that finds them taken is not noted.
const PROBES: usize = 8;

/// Has kinds noted, of which a task completes within the limit.
pub(super) fn note_within(limit: Duration) {
    LIMIT.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
}

/// Notes that a task has completed.
#[inline]
pub(super) fn completed(task: &Entry) {
    let limit = LIMIT.load(Ordering::Relaxed);
    if limit > 0 {
        note(task, Duration::from_millis(limit));
    }
}

#[cold]
fn note(task: &Entry, limit: Duration) {
    if task.spawned.elapsed().is_ok_and(|age| age <= limit) {
        let kind = kind(task);
        for place in places(kind) {
            match place.compare_exchange(0, kind, Ordering::Relaxed, Ordering::Relaxed) {
                Err(other) if other != kind => {}
                _ => return,
            }
        }
    }
}

/// A number that tasks of the same name and place have in common. Not 0.
fn kind(task: &Entry) -> usize {
    let (name, place) = (task.name.as_ptr().addr(), std::ptr::from_ref(task.spawned_at).addr());
    // In one module, addresses differ by less than `SPREAD`, and places are aligned to more than a
    // byte: no two pairs have the same number.
    name.wrapping_mul(SPREAD).wrapping_add(place) | 1
}

/// The golden ratio: it spreads addresses, whose lowest bits are often the same.
const SPREAD: usize = 0x9E37_79B1;

fn places(kind: usize) -> impl Iterator<Item = &'static AtomicUsize> {
    let first = kind.wrapping_mul(SPREAD) >> 20;
    (first..first + PROBES).map(|place| &KNOWN[place % KINDS])
}

/// Whether another task of this kind has completed within the limit.
pub(super) fn is_known(task: &Entry) -> bool {
    let kind = kind(task);
    places(kind).any(|place| place.load(Ordering::Relaxed) == kind)
}
