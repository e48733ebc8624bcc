//! What a service can be made to lack: its allocator, which it can hold, so that its reporter is stuck
//! as behind a thread that is stuck there; memory files, which a filter of system calls refuses; and two
//! threads, which can be made to wait for each other.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

struct Held;

static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Nothing is allocated any more.
pub(crate) fn hold_the_allocator() {
    IS_HELD.store(true, Ordering::SeqCst);
}

fn wait() {
    while IS_HELD.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
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

/// One that says who holds it, also in a program without debug information.
struct Lock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: locks are for several threads.
unsafe impl Sync for Lock {}

static TILL: Lock = Lock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
static STOCK: Lock = Lock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

impl Lock {
    fn lock(&self) {
        // SAFETY: it is initialized, and stays where it is.
        assert_eq!(unsafe { libc::pthread_mutex_lock(self.0.get()) }, 0);
    }
}

/// Two threads wait for each other for ever.
pub(crate) fn lock_crosswise() {
    let both = Arc::new(Barrier::new(2));
    for (name, locks) in [("sale-世界", [&TILL, &STOCK]), ("delivery", [&STOCK, &TILL])] {
        let (thread, both) = (thread::Builder::new().name(name.to_owned()), Arc::clone(&both));
        thread.spawn(move || hold_both(locks, &both)).expect("a thread");
    }
}

#[inline(never)]
fn hold_both([one, other]: [&Lock; 2], both: &Barrier) {
    one.lock();
    both.wait();
    other.lock();
    std::hint::black_box(1);
}
