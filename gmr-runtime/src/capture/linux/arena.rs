//! The memory that threads copy their stacks to.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::ptr::null_mut;

/// How much of the memory for a copy is touched beforehand: what an ordinary stack takes. The kernel finds a page for it then, and not while a thread of the program is in the handler.
const WARM: usize = 12 << 10;
/// The smallest there is; on larger ones, some are touched more than once.
const PAGE: usize = 4 << 10;

/// Memory for the copies of one batch, from the kernel and not from the program's allocator: it is touched only as far as stacks are
/// deep, and is given back at once.
pub(super) struct Arena {
    base: *mut u8,
    parts: usize,
    capacity: usize,
    /// A thread was given up in the middle of its answer, and may write to it yet: it stays mapped for ever.
    lost: Cell<bool>,
}

impl Arena {
    pub(super) fn map(parts: usize, capacity: usize) -> io::Result<Self> {
        // SAFETY: a new private mapping at an address of the kernel's choice concerns no other memory.
        let base = unsafe {
            libc::mmap(
                null_mut(),
                parts * capacity,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let arena = Self { base: base.cast(), parts, capacity, lost: Cell::new(false) };
        for place in 0..parts {
            for page in (0..capacity.min(WARM)).step_by(PAGE) {
                // SAFETY: the byte lies within the part, and no slot is lent yet.
                unsafe { arena.part(place).add(page).write_volatile(0) };
            }
        }
        Ok(arena)
    }

    /// The memory that the thread at this place of the batch writes to.
    pub(super) fn part(&self, place: usize) -> *mut u8 {
        assert!(place < self.parts, "the arena has as many parts as a batch has threads");
        // SAFETY: the part lies within the mapping.
        unsafe { self.base.add(place * self.capacity) }
    }

    /// Notes that a thread was given up in the middle of its answer.
    pub(super) fn lose(&self) {
        self.lost.set(true);
    }

    /// Whether one was.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// What the thread at this place has written to.
    ///
    /// # Safety
    /// Nobody may write to this part while the slice is in use: its slot must say DONE.
    pub(super) unsafe fn read(&self, place: usize) -> &[u8] {
        // SAFETY: the part lies within the mapping, is initialised (fresh mappings are zero), and the caller vouches that nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.part(place), self.capacity) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.lost.get() {
            return;
        }
        // SAFETY: this is the mapping made in `map`; no slice of it outlives the arena, and no slot is lent any more: each `Asked` borrows the arena, and takes its slot back when it is dropped.
        unsafe { libc::munmap(self.base.cast(), self.parts * self.capacity) };
    }
}
