//! All tracked tasks. Adding and removing one locks one shard for a moment; a report copies the
//! shards one after the other. Nothing here knows what a task does.
//!
//! A forked child has the shards as they were. One that another thread had locked stays locked
//! there, and is given up: its tasks are not shown, and no later one is added to it.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Duration;

use super::entry::{Entry, Shared};
use super::place::Place;
use super::sync::{Mutex, MutexGuard, lock_within, yield_now};
use crate::sys::sort;

/// Enough that threads which start tasks at full speed rarely compete for a shard.
pub(super) const SHARDS: usize = 16;

/// How often a report tries to lock a shard before it leaves its tasks out.
const ATTEMPTS: usize = 1_000;

/// How long the threads of a forked child may hold a shard. One that stays locked for longer was
/// locked in the parent.
const LOCKED_WITHIN: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Registry {
    shards: [Mutex<Shard>; SHARDS],
    /// Whether this process was forked.
    is_forked: AtomicBool,
    /// Bit `index` is set for each shard that stays locked.
    lost: AtomicU32,
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
        Self { shards, is_forked: AtomicBool::new(false), lost: AtomicU32::new(0) }
    }

    /// Notes that this is a forked child. Runs in each of them, where little is allowed.
    pub(super) fn note_fork(&self) {
        self.is_forked.store(true, Ordering::Relaxed);
    }

    /// Adds a task. The id must be unique. `None` if its shard is lost.
    pub(super) fn add(
        &self,
        id: u64,
        name: &'static str,
        spawned_at: &'static Location<'static>,
    ) -> Option<(Shared, Place)> {
        let entry = Arc::new(Entry::new(id, name, spawned_at));
        let mut shard = self.lock(id)?;
        let slot = shard.free.pop().unwrap_or_else(|| {
            shard.slots.push(None);
            shard.slots.len() - 1
        });
        shard.slots[slot] = Some(Arc::clone(&entry));
        drop(shard);
        Some((entry, Place::new(id, slot)))
    }

    /// Removes a task that has ended. A later task reuses its slot.
    pub(super) fn remove(&self, entry: &Entry, place: Place) {
        entry.finish();
        let Some(mut shard) = self.lock(place.id()) else { return };
        let removed = shard.slots[place.slot()].take();
        shard.free.push(place.slot());
        drop(shard);
        // Outside of the lock: dropping an entry drops a waker of the runtime's.
        drop(removed);
    }

    /// The task at this place, unless it was removed. Takes constant time.
    pub(super) fn find(&self, place: Place) -> Option<Shared> {
        let shard = self.lock(place.id())?;
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
        sort::by_key(&mut tasks, |task: &Shared| task.id);
        (tasks, unread)
    }

    /// Calls the function with each task. False if a shard could not be read.
    pub(super) fn for_each(&self, mut function: impl FnMut(&Entry)) -> bool {
        self.shards.iter().all(|shard| {
            let shard = try_lock(shard);
            shard.iter().flat_map(|shard| shard.slots.iter().flatten()).for_each(|task| function(task));
            shard.is_some()
        })
    }

    /// Whether there is a task, as far as is known without waiting.
    pub(super) fn has_any(&self) -> bool {
        let has_any = |shard: &Shard| shard.slots.len() > shard.free.len();
        self.shards.iter().any(|shard| shard.try_lock().map_or(true, |shard| has_any(&shard)))
    }

    /// The shard of the task with this id; `None` if it is lost.
    fn lock(&self, id: u64) -> Option<MutexGuard<'_, Shard>> {
        let shard = self.shard(id);
        match shard.try_lock() {
            Ok(shard) => Some(shard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if self.is_forked.load(Ordering::Relaxed) => self.lock_in_child(id),
            Err(TryLockError::WouldBlock) => Some(shard.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(super) fn shard(&self, id: u64) -> &Mutex<Shard> {
        &self.shards[index(id)]
    }

    #[cold]
    fn lock_in_child(&self, id: u64) -> Option<MutexGuard<'_, Shard>> {
        let bit = 1 << index(id);
        if self.lost.load(Ordering::Relaxed) & bit != 0 {
            return None;
        }
        let shard = lock_within(self.shard(id), LOCKED_WITHIN);
        if shard.is_none() {
            self.lost.fetch_or(bit, Ordering::Relaxed);
        }
        shard
    }
}

/// The index of the shard of the task with this id.
fn index(id: u64) -> usize {
    usize::try_from(id % SHARDS as u64).unwrap_or_default()
}

fn try_read(shard: &Mutex<Shard>) -> Option<Vec<Shared>> {
    try_lock(shard).map(|shard| shard.slots.iter().flatten().cloned().collect())
}

/// The shard, for the reporter, which may not wait for it.
fn try_lock(shard: &Mutex<Shard>) -> Option<MutexGuard<'_, Shard>> {
    for _ in 0..ATTEMPTS {
        match shard.try_lock() {
            Ok(shard) => return Some(shard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => yield_now(),
        }
    }
    None
}
