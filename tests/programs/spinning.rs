//! A thread that takes a core for itself, in the way that the argument names, or one that does not:
//!
//! - `compute`: it computes, and never waits;
//! - `deaf`: the same, with all signals blocked;
//! - `poll`: it asks again and again whether something has happened;
//! - `half`: it computes for a millisecond, and sleeps for one.

#![allow(unsafe_code, reason = "std does not block signals")]

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::thread;
use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

#[inline(never)]
fn compute() {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

#[inline(never)]
fn compute_with_signals_blocked() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used, and a null pointer says that the old mask
    // is not wanted.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), null_mut());
    }
    compute();
}

#[inline(never)]
fn ask_again() {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        // The signal that takes its stack can interrupt it.
        let _ = black_box(poll(&mut [], Some(&at_once)));
    }
}

/// The processor time that this thread has used.
fn used() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it is positive")
}

#[inline(never)]
fn work_and_sleep() {
    let millisecond = Duration::from_millis(1);
    loop {
        let until = used() + millisecond;
        while used() < until {}
        thread::sleep(millisecond);
    }
}

#[gmr::main]
fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let run = match mode.as_str() {
        "compute" => compute,
        "deaf" => compute_with_signals_blocked,
        "poll" => ask_again,
        _ => work_and_sleep,
    };
    gmr_tests::start_named("worker", run);
    gmr_tests::converse(|_| String::new());
}
