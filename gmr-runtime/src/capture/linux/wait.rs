//! Waiting for the answers of a batch of threads: one sleep on a futex for all of them.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::handler::{ANSWERS, ENOUGH, Progress, Slot, WOKEN};

/// Waits until all of these have answered, or until then.
pub(super) fn wait_for(slots: &[&Slot], until: Instant) {
    loop {
        // Counted before the slots are looked at: an answer that comes in between makes for one waking too early, and not for one that never comes. So does one that was given up
        // for lost long ago.
        let seen = ANSWERS.load(Ordering::SeqCst);
        let missing = slots.iter().filter(|slot| !matches!(slot.progress(), Progress::Done(_))).count();
        let Some(left) = until.checked_duration_since(Instant::now()).filter(|_| missing > 0) else { return };
        let missing = u32::try_from(missing).expect("a batch has at most 128 threads");
        WOKEN.store(0, Ordering::SeqCst);
        ENOUGH.store(seen.wrapping_add(missing), Ordering::SeqCst);
        // Announced, then counted once more: see the handler.
        if ANSWERS.load(Ordering::SeqCst).wrapping_sub(seen) >= missing {
            continue;
        }
        let timeout = rustix::thread::Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        // Woken, timed out, interrupted or too late to sleep: the loop looks again in any case.
        let _ = rustix::thread::futex::wait(&WOKEN, rustix::thread::futex::Flags::PRIVATE, 0, Some(&timeout));
    }
}
