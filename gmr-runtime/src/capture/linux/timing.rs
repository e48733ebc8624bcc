//! Measures the time that threads spend in the handler. For benchmarks only, compiled with the
//! feature `__bench`.
//!
//! What runs in the handler keeps its rules: it reads two clocks and uses atomics.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Enough for several reports of 8,000 threads; later samples are dropped.
const SAMPLES: usize = 1 << 16;

static TIMES: [Sample; SAMPLES] = [const { Sample::new() }; SAMPLES];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// One answer.
struct Sample {
    /// Nanoseconds from entering to leaving the handler. The thread may have been preempted in
    /// between.
    took: AtomicU64,
    /// Nanoseconds of CPU time.
    computed: AtomicU64,
    bytes: AtomicUsize,
}

impl Sample {
    const fn new() -> Self {
        Self { took: AtomicU64::new(0), computed: AtomicU64::new(0), bytes: AtomicUsize::new(0) }
    }
}

/// Runs `answer` in the handler and records how long it took. If it returns `None`, nothing was
/// answered and nothing is recorded.
pub(super) fn timed(answer: impl FnOnce() -> Option<usize>) {
    // Reading the CPU-time clock is a system call; it stays outside the interval of the other
    // clock.
    let computing_since = nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID);
    let since = nanoseconds(libc::CLOCK_MONOTONIC);
    let copied = answer();
    let took = nanoseconds(libc::CLOCK_MONOTONIC).saturating_sub(since);
    let computed = nanoseconds(libc::CLOCK_THREAD_CPUTIME_ID).saturating_sub(computing_since);
    let Some(copied) = copied else { return };
    if let Some(sample) = TIMES.get(NEXT.fetch_add(1, Ordering::Relaxed)) {
        sample.took.store(took, Ordering::Relaxed);
        sample.computed.store(computed, Ordering::Relaxed);
        sample.bytes.store(copied, Ordering::Relaxed);
    }
}

fn nanoseconds(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes. POSIX lets signal handlers call this function.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// For each answer since the last call: nanoseconds in the handler, nanoseconds of CPU time, bytes
/// of stack.
pub(crate) fn take_times() -> Vec<(u64, u64, usize)> {
    let count = NEXT.swap(0, Ordering::Relaxed).min(SAMPLES);
    let samples = TIMES[..count].iter();
    samples
        .map(|sample| {
            let (took, computed) =
                (sample.took.load(Ordering::Relaxed), sample.computed.load(Ordering::Relaxed));
            (took, computed, sample.bytes.load(Ordering::Relaxed))
        })
        .collect()
}
