//! How long threads were in the handler. For the benchmarks only, and only compiled with the feature
//! `__bench`.
//!
//! What runs in the handler keeps to its rules: reads of two clocks, and atomics.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Enough for several reports of 8,000 threads; what comes after is not noted.
const NOTES: usize = 1 << 16;

static TIMES: [Noted; NOTES] = [const { Noted::new() }; NOTES];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// One answer.
struct Noted {
    /// Nanoseconds from the handler's begin to its end, which the thread may have spent without a processor in part.
    took: AtomicU64,
    /// Nanoseconds of processor time.
    computed: AtomicU64,
    bytes: AtomicUsize,
}

impl Noted {
    const fn new() -> Self {
        Self { took: AtomicU64::new(0), computed: AtomicU64::new(0), bytes: AtomicUsize::new(0) }
    }
}

/// Runs what a thread does in the handler, and notes how long it took. Nothing was answered if it copied nothing.
pub(super) fn timed(answer: impl FnOnce() -> Option<usize>) {
    // The clock of the processor time is a system call: what it costs stays outside of the other.
    let computing_since = nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID);
    let since = nanoseconds(libc::CLOCK_MONOTONIC);
    let copied = answer();
    let took = nanoseconds(libc::CLOCK_MONOTONIC).saturating_sub(since);
    let computed = nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID).saturating_sub(computing_since);
    let Some(copied) = copied else { return };
    if let Some(place) = TIMES.get(NEXT.fetch_add(1, Ordering::Relaxed)) {
        place.took.store(took, Ordering::Relaxed);
        place.computed.store(computed, Ordering::Relaxed);
        place.bytes.store(copied, Ordering::Relaxed);
    }
}

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write to. POSIX lets handlers call this function.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Of each answer since the last call: nanoseconds in the handler, nanoseconds of processor time, bytes of stack.
pub(crate) fn take_times() -> Vec<(u64, u64, usize)> {
    let count = NEXT.swap(0, Ordering::Relaxed).min(NOTES);
    let noted = TIMES[..count].iter();
    noted
        .map(|noted| {
            let (took, computed) =
                (noted.took.load(Ordering::Relaxed), noted.computed.load(Ordering::Relaxed));
            (took, computed, noted.bytes.load(Ordering::Relaxed))
        })
        .collect()
}
