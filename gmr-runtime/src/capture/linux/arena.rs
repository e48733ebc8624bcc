//! The memory that threads copy their stacks to: one buffer for each thread of a batch.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;

use crate::sys::linux::mapping::Mapping;

/// How much of each buffer is touched in advance: what an ordinary stack takes. The kernel then
/// finds the pages here, and not while a thread of the program is in the handler.
const WARM: usize = 12 << 10;
/// The smallest page size there is; where pages are larger, some are touched more than once.
const PAGE: usize = 4 << 10;

/// Buffers for the copies of one batch. They are mapped by the kernel, not taken from the program's
/// allocator: only as much is touched as the stacks are deep, and all of it is given back at once.
pub(super) struct Arena {
    mapping: ManuallyDrop<Mapping>,
    buffers: usize,
    capacity: usize,
    /// Whether a thread was given up in the middle of its answer. It may still write to its buffer,
    /// so the arena stays mapped forever.
    leaked: Cell<bool>,
}

impl Arena {
    pub(super) fn map(buffers: usize, capacity: usize) -> io::Result<Self> {
        let length = buffers.checked_mul(capacity).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = ManuallyDrop::new(Mapping::reserve(length)?);
        let arena = Self { mapping, buffers, capacity, leaked: Cell::new(false) };
        for index in 0..buffers {
            for page in (0..capacity.min(WARM)).step_by(PAGE) {
                // SAFETY: the byte lies within the buffer, and no slot is lent yet.
                unsafe { arena.buffer(index).add(page).write_volatile(0) };
            }
        }
        Ok(arena)
    }

    /// The buffer that the thread at this index of the batch writes to, `capacity` bytes long.
    pub(super) fn buffer(&self, index: usize) -> *mut u8 {
        assert!(index < self.buffers, "an arena has a buffer for each thread of its batch");
        // SAFETY: the buffer lies within the mapping, which is `buffers * capacity` bytes long.
        unsafe { self.mapping.base().add(index * self.capacity) }
    }

    /// Notes that a thread was given up in the middle of its answer.
    pub(super) fn leak(&self) {
        self.leaked.set(true);
    }

    /// Whether a thread was given up.
    pub(super) fn is_leaked(&self) -> bool {
        self.leaked.get()
    }

    /// The contents of the buffer that the thread at this index wrote to.
    ///
    /// # Safety
    /// Nothing may write to this buffer while the slice is in use: its slot must say `DONE`.
    pub(super) unsafe fn read(&self, index: usize) -> &[u8] {
        // SAFETY: the buffer lies within the mapping and is initialised (a fresh mapping is
        // zeroed), and the caller promises that nothing writes to it. Other buffers are not part of
        // the slice.
        unsafe { std::slice::from_raw_parts(self.buffer(index), self.capacity) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.leaked.get() {
            return;
        }
        // SAFETY: it is dropped here alone, and not used afterwards. No slice of it outlives the
        // arena, and no slot is lent any more: each `Pending` borrows the arena, and takes its slot
        // back, or marks the arena as leaked, when it is dropped.
        unsafe { ManuallyDrop::drop(&mut self.mapping) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the page at this address is mapped.
    fn is_mapped(address: *mut u8) -> bool {
        crate::sys::linux::copy::read(address as u64, &mut [0]) == 1
    }

    #[test]
    #[cfg_attr(miri, ignore = "the kernel is asked what is mapped")]
    fn an_arena_is_unmapped_unless_a_thread_may_still_write_to_it() {
        let leaked = Arena::map(2, PAGE).unwrap();
        leaked.leak();
        let buffer = leaked.buffer(1);
        drop(leaked);
        assert!(is_mapped(buffer));
        // Large, so that no other test of this process maps something at the same address
        // meanwhile.
        let unmapped = Arena::map(2, 1 << 30).unwrap();
        let buffer = unmapped.buffer(1);
        drop(unmapped);
        assert!(!is_mapped(buffer));
    }
}
