//! Where a task is in the registry, as two numbers. Nothing here looks a task up.

use std::num::NonZeroU64;

/// The lower half of an id.
const LOWER_HALF: u64 = 0xffff_ffff;

/// Where a task is found, in one word, which each poll copies: the lower half of the task's id,
/// which determines the shard, and its slot. Later tasks reuse the slot; the id tells them apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(NonZeroU64);

impl Place {
    /// No shard has 2³² slots: the entries of its tasks alone would take a terabyte.
    pub(super) fn new(id: u64, slot: usize) -> Self {
        Self(NonZeroU64::MIN.saturating_add(id << 32 | slot as u64))
    }

    /// The lower half of the id.
    pub(super) fn id(self) -> u64 {
        (self.0.get() - 1) >> 32
    }

    pub(super) fn slot(self) -> usize {
        usize::try_from((self.0.get() - 1) & LOWER_HALF).unwrap_or(usize::MAX)
    }

    /// Whether it is the place of the task with this id, and not of another one in its slot.
    pub(super) fn is_of(self, id: u64) -> bool {
        id & LOWER_HALF == self.id()
    }
}
