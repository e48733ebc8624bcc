//! All tracked tasks. Adding and removing one locks one shard for a moment; a report copies the
//! shards one after the other. Nothing here knows what a task does.

use std::panic::Location;
use std::sync::{Arc, PoisonError, TryLockError};

use super::entry::{Entry, Shared};
use super::place::Place;
use super::sync::{Mutex, yield_now};

/// Enough that threads which start tasks at full speed rarely compete for a shard.
pub(super) const SHARDS: usize = 16;

/// How often a report tries to lock a shard before it leaves its tasks out.
const ATTEMPTS: usize = 1_000;

#[derive(Debug)]
pub(super) struct Registry {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug)]
pub(super) struct Shard {
    slots: Vec<Option<Shared>>,
    free: Vec<usize>,
}

impl Shard {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl Registry {
    pub(super) const fn new(shards: [Mutex<Shard>; SHARDS]) -> Self {
        Self { shards }
    }

    /// Adds a task. The id must be unique.
    pub(super) fn add(
        &self,
        id: u64,
        name: &'static str,
        spawned_at: &'static Location<'static>,
    ) -> (Shared, Place) {
        let entry = Arc::new(Entry::new(id, name, spawned_at));
        let mut shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        let slot = shard.free.pop().unwrap_or_else(|| {
            shard.slots.push(None);
            shard.slots.len() - 1
        });
        shard.slots[slot] = Some(Arc::clone(&entry));
        drop(shard);
        (entry, Place::new(id, slot))
    }

    /// Removes a task that has ended. A later task reuses its slot.
    pub(super) fn remove(&self, entry: &Entry, place: Place) {
        entry.finish();
        let mut shard = self.shard(place.id()).lock().unwrap_or_else(PoisonError::into_inner);
        let removed = shard.slots[place.slot()].take();
        shard.free.push(place.slot());
        drop(shard);
        // Outside of the lock: dropping an entry drops a waker of the runtime's.
        drop(removed);
    }

    /// The task at this place, unless it was removed. Takes constant time.
    pub(super) fn find(&self, place: Place) -> Option<Shared> {
        let shard = self.shard(place.id()).lock().unwrap_or_else(PoisonError::into_inner);
        let task = shard.slots.get(place.slot())?.as_ref()?;
        place.is_of(task.id).then(|| Arc::clone(task))
    }

    /// All tasks in the order in which they were started, and how many shards could not be read
    /// because a thread was stopped while it started or ended a task.
    pub(super) fn all(&self) -> (Vec<Shared>, usize) {
        let mut tasks = Vec::new();
        let mut unread = 0;
        for shard in &self.shards {
            match try_read(shard) {
                Some(found) => tasks.extend(found),
                None => unread += 1,
            }
        }
        tasks.sort_unstable_by_key(|task: &Shared| task.id);
        (tasks, unread)
    }

    fn shard(&self, id: u64) -> &Mutex<Shard> {
        let index = usize::try_from(id % SHARDS as u64).unwrap_or_default();
        &self.shards[index]
    }
}

fn try_read(shard: &Mutex<Shard>) -> Option<Vec<Shared>> {
    for _ in 0..ATTEMPTS {
        let shard = match shard.try_lock() {
            Ok(shard) => shard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                yield_now();
                continue;
            }
        };
        return Some(shard.slots.iter().flatten().cloned().collect());
    }
    None
}
