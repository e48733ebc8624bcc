//! Waits for the answers of a batch of threads.

use std::time::{Duration, Instant};

use super::handler::{Progress, Slot};
use crate::sys::sleep;

/// The pause before the first look. A handler takes some 40 microseconds, and the kernel ends a
/// sleep up to 50 microseconds late.
const SHORTEST: Duration = Duration::from_micros(100);
/// Where this is reached, the threads take turns on the CPUs, each for some milliseconds.
const LONGEST: Duration = Duration::from_millis(10);
/// Which part of the time waited so far the next pause takes.
const PART: u32 = 4;

/// Waits until all of these slots are answered, or until the deadline.
///
/// It sleeps and looks, at longer and longer intervals. A handler that woke this thread could lose
/// its CPU to it, and its thread would then wait for its next turn in the middle of the handler. A
/// look can do the same, so there are few: some 40 while 128 threads take their turns on two CPUs.
pub(super) fn wait_for(slots: &[&Slot], deadline: Instant) {
    let start = Instant::now();
    let is_missing = |slot: &&Slot| !matches!(slot.progress(), Progress::Done(_));
    while slots.iter().any(is_missing) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let pause = (start.elapsed() / PART).clamp(SHORTEST, LONGEST);
        sleep(pause.min(left));
    }
}
