//! The allocator of the test program, which a service can hold: then its reporter is stuck, as
//! behind a thread that is stuck in the allocator.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

struct Held;

static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Nothing is allocated any more.
pub(crate) fn hold() {
    IS_HELD.store(true, Ordering::SeqCst);
}

fn wait() {
    while IS_HELD.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

// SAFETY: it passes every call on to an allocator.
unsafe impl GlobalAlloc for Held {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        wait();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Held = Held;
