//! Waits for the answers of a batch of threads: one futex wait for all of them.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::handler::{ANSWERS, Progress, Slot, WAKE_AT, WOKEN};

/// Waits until all of these slots are answered, or until the deadline.
pub(super) fn wait_for(slots: &[&Slot], deadline: Instant) {
    loop {
        // Read before the slots: an answer that arrives in between causes an early wake-up, not a
        // missed one. So does the late answer of a thread that was given up earlier.
        let seen = ANSWERS.load(Ordering::SeqCst);
        let missing = slots.iter().filter(|slot| !matches!(slot.progress(), Progress::Done(_))).count();
        let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|_| missing > 0) else {
            return;
        };
        let missing = u32::try_from(missing).expect("a batch has at most 128 threads");
        WOKEN.store(0, Ordering::SeqCst);
        WAKE_AT.store(seen.wrapping_add(missing), Ordering::SeqCst);
        // Store, then read the count again: the handler does the reverse (see `answer` there).
        if ANSWERS.load(Ordering::SeqCst).wrapping_sub(seen) >= missing {
            continue;
        }
        let timeout = rustix::thread::Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        // Woken, timed out, interrupted, or woken before it slept: the loop checks again in any
        // case.
        let _ = rustix::thread::futex::wait(&WOKEN, rustix::thread::futex::Flags::PRIVATE, 0, Some(&timeout));
    }
}
