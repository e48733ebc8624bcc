//! Waits for the answers of a batch of threads.

use std::time::{Duration, Instant};

use super::handler::{Progress, Slot};
use crate::sys::sleep;

/// A thread that runs answers within some ten microseconds, and the kernel ends a sleep up to 50
/// microseconds late.
const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(1);

/// Waits until all of these slots are answered, or until the deadline.
///
/// It sleeps and looks, at longer and longer intervals. A handler that woke this thread could lose
/// its CPU to it, and its thread would then wait for its next turn in the middle of the handler.
pub(super) fn wait_for(slots: &[&Slot], deadline: Instant) {
    let mut pause = SHORTEST;
    let is_missing = |slot: &&Slot| !matches!(slot.progress(), Progress::Done(_));
    while slots.iter().any(is_missing) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST);
    }
}
