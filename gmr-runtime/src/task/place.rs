//! Where a task is in the registry, as two numbers. Nothing here looks a task up.

use std::num::NonZeroU64;

/// The lower half of an id.
const LOWER_HALF: u64 = 0xffff_ffff;

/// In the lower half of a place: the bits of the slot.
const SLOT: u64 = FOR_TRACE - 1;

/// In the lower half of a place that a thread keeps while it polls the task: a trace has caused the
/// poll.
const FOR_TRACE: u64 = 1 << 31;

/// Where a task is found, in one word, which each poll copies: the lower half of the task's id,
/// which determines the shard, and its slot. Later tasks reuse the slot; the id distinguishes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(NonZeroU64);

impl Place {
    /// No shard has 2³¹ − 1 slots: the entries of its tasks alone would take half a terabyte.
    pub(super) fn new(id: u64, slot: usize) -> Self {
        Self(NonZeroU64::MIN.saturating_add(id << 32 | slot as u64))
    }

    /// The lower half of the id.
    pub(super) fn id(self) -> u64 {
        (self.0.get() - 1) >> 32
    }

    pub(super) fn slot(self) -> usize {
        usize::try_from((self.0.get() - 1) & SLOT).unwrap_or(usize::MAX)
    }

    /// The same place, in a poll that a trace has caused.
    pub(super) fn for_trace(self) -> Self {
        Self(NonZeroU64::MIN.saturating_add((self.0.get() - 1) | FOR_TRACE))
    }

    /// Whether a trace has caused the poll.
    pub(super) fn is_for_trace(self) -> bool {
        (self.0.get() - 1) & FOR_TRACE != 0
    }

    /// Whether it is the place of the task with this id, and not of another one in its slot.
    pub(super) fn is_of(self, id: u64) -> bool {
        id & LOWER_HALF == self.id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_an_id_a_slot_and_a_mark() {
        for (id, slot) in [(0, 0), (1, 17), (LOWER_HALF, 0x7fff_fffe), (LOWER_HALF + 5, 3)] {
            let place = Place::new(id, slot);
            for (place, is_marked) in [(place, false), (place.for_trace(), true)] {
                assert_eq!(
                    (place.id(), place.slot(), place.is_for_trace()),
                    (id & LOWER_HALF, slot, is_marked)
                );
                assert!(place.is_of(id) && !place.is_of(id + 1));
            }
        }
    }
}
