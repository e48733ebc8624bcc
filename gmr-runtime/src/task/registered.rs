//! The tasks of this process, and a task's registration among them, which lasts until it is
//! dropped.

use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::Shared;
use super::place::Place;
use super::registry::{Registry, SHARDS, Shard};
use super::sync::Mutex;

/// The tasks of this process.
#[cfg(not(all(test, gmr_loom)))]
pub(super) static TASKS: Registry = Registry::new([const { Mutex::new(Shard::new()) }; SHARDS]);

/// The model checker's locks can't be made in a constant.
#[cfg(all(test, gmr_loom))]
pub(super) static TASKS: std::sync::LazyLock<Registry> = std::sync::LazyLock::new(|| {
    Registry::new(std::array::from_fn::<_, SHARDS, _>(|_| Mutex::new(Shard::new())))
});

/// The id of the next task.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The id of the task with this lower half, as [`here`](super::here) returns it. `None` for 0, and
/// once more tasks were started than a half can tell apart.
#[cfg(feature = "tracing")]
pub(crate) fn full_id(lower_half: u32) -> Option<u64> {
    let is_unique = u32::try_from(NEXT.load(Ordering::Relaxed)).is_ok();
    (lower_half != 0 && is_unique).then_some(lower_half.into())
}

/// How many tasks have started so far.
pub(super) fn started() -> u64 {
    NEXT.load(Ordering::SeqCst)
}

/// A task that is in the registry until this is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) entry: Shared,
    pub(super) place: Place,
}

impl Registered {
    /// `None` if no shard can be locked, in a forked child.
    pub(super) fn new(name: &'static str, spawned_at: &'static Location<'static>) -> Option<Self> {
        // Consecutive ids have different shards.
        let add = |_| TASKS.add(NEXT.fetch_add(1, Ordering::Relaxed), name, spawned_at);
        let (entry, place) = (0..SHARDS).find_map(add)?;
        Some(Self { entry, place })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        TASKS.remove(&self.entry, self.place);
    }
}
