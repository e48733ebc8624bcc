//! Two hundred threads in system calls that a signal handler ends, however it was installed: each
//! counts how often its call returns. Nothing but a signal can make it return.

#![allow(unsafe_code, reason = "the calls are made as C makes them: std's would go on after a signal")]

use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const THREADS: usize = 200;

static RETURNED: AtomicU64 = AtomicU64::new(0);

/// A message queue that nothing is sent to.
struct Queue(libc::c_int);

impl Queue {
    fn new() -> Self {
        // SAFETY: it makes a queue, and accesses no memory.
        let queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        assert!(queue >= 0, "a message queue: {}", std::io::Error::last_os_error());
        Self(queue)
    }
}

// The kernel keeps a queue beyond the end of the process.
impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: with IPC_RMID, the pointer is not used.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, null_mut()) };
    }
}

/// A way to wait by its name; it is called with the number of the queue.
type Wait = (&'static str, fn(libc::c_int));

#[gmr::main(product = "waiting", version = "1.0")]
fn main() {
    let queue = Queue::new();
    let number = queue.0;
    let waits: [Wait; 4] =
        [("pause", wait_in_pause), ("epoll", wait_in_epoll), ("sleep", wait_asleep), ("message", receive)];
    for thread in 0..THREADS {
        let (name, wait) = waits[thread % waits.len()];
        let forever = move || {
            gmr_tests::arrive();
            loop {
                wait(number);
                RETURNED.fetch_add(1, Ordering::Relaxed);
            }
        };
        thread::Builder::new()
            .name(format!("{name}-{thread}"))
            .stack_size(256 << 10)
            .spawn(forever)
            .expect("a thread");
    }
    gmr_tests::settle(THREADS);
    gmr_tests::converse(|_| RETURNED.load(Ordering::Relaxed).to_string());
}

#[inline(never)]
fn wait_in_pause(_: libc::c_int) {
    // SAFETY: it accesses no memory.
    unsafe { libc::pause() };
}

#[inline(never)]
fn wait_in_epoll(_: libc::c_int) {
    // SAFETY: it makes a descriptor, which stays open.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: the event is valid for writes, and there is one.
    unsafe { libc::epoll_wait(epoll, &raw mut event, 1, -1) };
}

#[inline(never)]
fn wait_asleep(_: libc::c_int) {
    let hour = libc::timespec { tv_sec: 3600, tv_nsec: 0 };
    // SAFETY: the time is valid for reads, and a null pointer says that the rest is not wanted.
    unsafe { libc::nanosleep(&raw const hour, null_mut()) };
}

#[inline(never)]
fn receive(queue: libc::c_int) {
    // A type, and then one byte of text.
    let mut message = [0_usize; 2];
    // SAFETY: the message is valid for writes of a type and one byte.
    unsafe { libc::msgrcv(queue, message.as_mut_ptr().cast(), 1, 0, 0) };
    std::hint::black_box(message);
}
