//! A program whose allocator has a lock, and whose main thread is stuck while it holds that lock.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator, for one thread at a time.
struct Locked;

static HELD: AtomicBool = AtomicBool::new(false);

fn lock() {
    while HELD.swap(true, Ordering::Acquire) {
        // SAFETY: it only sleeps.
        unsafe { libc::usleep(1000) };
    }
}

fn unlock() {
    HELD.store(false, Ordering::Release);
}

// SAFETY: it passes every call on to an allocator.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        lock();
        // SAFETY: as the caller promises.
        let memory = unsafe { System.alloc(layout) };
        unlock();
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        lock();
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) };
        unlock();
    }
}

#[global_allocator]
static ALLOCATOR: Locked = Locked;

/// Holds the lock until there is a byte to read.
#[inline(never)]
fn hold_the_allocator() -> usize {
    lock();
    let (line, mut byte) = ("holding\n", 0_u8);
    // SAFETY: the text can be read, and the byte can be written to.
    let read = unsafe {
        libc::write(1, line.as_ptr().cast(), line.len());
        libc::read(0, (&raw mut byte).cast(), 1)
    };
    unlock();
    usize::try_from(read).unwrap_or_default()
}

#[gmr::main(product = "wedged")]
fn main() {
    gmr_tests::say("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("it can be read");
    let read = hold_the_allocator();
    gmr_tests::say(&format!("released by {read}"));
    while std::io::stdin().read_line(&mut line).is_ok_and(|length| length > 0) {
        gmr_tests::say("still there");
    }
}
