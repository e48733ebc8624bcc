//! What a service can be made to lack: its allocator, which it can hold, so that its reporter is stuck
//! as behind a thread that is stuck there; and memory files, which a filter of system calls refuses.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

struct Held;

static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Nothing is allocated any more.
pub(crate) fn hold_the_allocator() {
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

/// From now on, the kernel refuses memory files to all threads.
pub(crate) fn refuse_memory_files() {
    const FOR_ALL_THREADS: libc::c_ulong = 1;
    const SET_FILTER: libc::c_ulong = 1;
    let (load, equals, answer) = (0x20, 0x15, 0x06);
    let (allow, refuse) = (0x7fff_0000, 0x0005_0000 | libc::EPERM.cast_unsigned());
    let memfd_create = u32::try_from(libc::SYS_memfd_create).expect("a number");
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        // The number of the call is first in what the filter sees.
        step(load, 0, 0, 0),
        step(equals, 0, 1, memfd_create),
        step(answer, 0, 0, refuse),
        step(answer, 0, 0, allow),
    ];
    let program = libc::sock_fprog { len: 4, filter: steps.as_mut_ptr() };
    // SAFETY: the kernel copies the filter, which has as many steps as it says.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let set = libc::syscall(libc::SYS_seccomp, SET_FILTER, FOR_ALL_THREADS, &raw const program);
        assert_eq!(set, 0);
    }
}
