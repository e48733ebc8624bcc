//! All tasks that are tracked. Adding and removing one is a lock of one shard for a moment; a report copies the shards one after the other.

use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;

use super::entry::{Entry, Shared};

/// Enough that threads which start tasks at full speed rarely meet.
const SHARDS: usize = 16;

static SHARD: [Mutex<Shard>; SHARDS] = [const { Mutex::new(Shard::new()) }; SHARDS];
static NEXT: AtomicU64 = AtomicU64::new(1);

#[derive(Debug)]
struct Shard {
    slots: Vec<Option<Shared>>,
    free: Vec<usize>,
}

impl Shard {
    const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

/// A task's place in the registry, which is its own until this is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) entry: Shared,
    slot: usize,
}

impl Registered {
    pub(super) fn new(name: &'static str, spawned_at: &'static Location<'static>) -> Self {
        let entry = Arc::new(Entry::new(NEXT.fetch_add(1, Ordering::Relaxed), name, spawned_at));
        let mut shard = shard(entry.id).lock().unwrap_or_else(PoisonError::into_inner);
        let slot = shard.free.pop().unwrap_or_else(|| {
            shard.slots.push(None);
            shard.slots.len() - 1
        });
        shard.slots[slot] = Some(Arc::clone(&entry));
        drop(shard);
        Self { entry, slot }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.entry.finish();
        let mut shard = shard(self.entry.id).lock().unwrap_or_else(PoisonError::into_inner);
        let gone = shard.slots[self.slot].take();
        shard.free.push(self.slot);
        drop(shard);
        // Outside of the lock: with the entry goes a waker of the runtime's.
        drop(gone);
    }
}

fn shard(id: u64) -> &'static Mutex<Shard> {
    let index = usize::try_from(id % SHARDS as u64).unwrap_or_default();
    &SHARD[index]
}

/// All tasks in the order in which they were started, and how many shards could not be read: a thread of the program is stopped in the middle of starting or ending a task.
pub(super) fn all() -> (Vec<Shared>, usize) {
    let mut tasks = Vec::new();
    let mut unread = 0;
    for shard in &SHARD {
        match patiently(shard) {
            Some(found) => tasks.extend(found),
            None => unread += 1,
        }
    }
    tasks.sort_unstable_by_key(|task: &Shared| task.id);
    (tasks, unread)
}

fn patiently(shard: &Mutex<Shard>) -> Option<Vec<Shared>> {
    for _ in 0..1_000 {
        let shard = match shard.try_lock() {
            Ok(shard) => shard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                thread::yield_now();
                continue;
            }
        };
        return Some(shard.slots.iter().flatten().cloned().collect());
    }
    None
}

/// The task of this id, if it is still there.
pub(super) fn find(id: u64) -> Option<Shared> {
    let shard = shard(id).lock().unwrap_or_else(PoisonError::into_inner);
    shard.slots.iter().flatten().find(|task| task.id == id).cloned()
}
