//! A timer of the kernel's that sends the thread a signal. It needs no other thread and no lock.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// One timer at a time.
pub(super) struct Timer(AtomicI32);

const NONE: i32 = -1;

impl Timer {
    pub(super) const fn new() -> Self {
        Self(AtomicI32::new(NONE))
    }

    /// Sends the calling thread, `tid`, this signal after a time. Where the kernel has no timer for
    /// it, it is not sent.
    pub(super) fn start(&self, after: Duration, signal: Option<i32>, tid: i32) {
        let Some(signal) = signal else { return };
        let mut event = MaybeUninit::<libc::sigevent>::zeroed();
        let mut timer = NONE;
        let time =
            libc::timespec { tv_sec: after.as_secs().cast_signed(), tv_nsec: after.subsec_nanos().into() };
        let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: time };
        // SAFETY: all-zero is a valid event. The kernel reads and writes only these variables. The
        // calls are the kernel's own: the C library's allocate.
        unsafe {
            let target = event.as_mut_ptr();
            (*target).sigev_notify = libc::SIGEV_THREAD_ID;
            (*target).sigev_signo = signal;
            (*target).sigev_notify_thread_id = tid;
            let clock = libc::CLOCK_MONOTONIC;
            if libc::syscall(libc::SYS_timer_create, clock, target, &raw mut timer) == 0 {
                self.0.store(timer, Ordering::Relaxed);
                libc::syscall(libc::SYS_timer_settime, timer, 0, &raw const once, null_mut::<()>());
            }
        }
    }

    /// Stops it. It sends nothing from here on.
    pub(super) fn stop(&self) {
        let timer = self.0.swap(NONE, Ordering::Relaxed);
        if timer != NONE {
            // SAFETY: the timer is this thread's own.
            unsafe { libc::syscall(libc::SYS_timer_delete, timer) };
        }
    }
}
