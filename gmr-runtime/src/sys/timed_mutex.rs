//! A mutex whose lock call has a deadline, for what may be done only once at a time in a process.
//!
//! Only gmr's own code locks it, and never while it runs code of the program. So a thread waits no
//! longer than gmr's own deadlines.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A mutex without data that can be locked until a deadline.
#[derive(Debug)]
pub(crate) struct TimedMutex {
    /// The id of the process that holds the lock. After a fork the child has this memory, but not
    /// the thread that would unlock it; a lock held by another process counts as free.
    holder: Mutex<Option<u32>>,
    unlocked: Condvar,
}

/// Holds the lock until it is dropped, on any thread.
#[derive(Debug)]
pub(crate) struct TimedGuard(&'static TimedMutex);

impl TimedMutex {
    pub(crate) const fn new() -> Self {
        Self { holder: Mutex::new(None), unlocked: Condvar::new() }
    }

    /// Locks it, waiting until the deadline at most.
    pub(crate) fn lock_until(&'static self, deadline: Instant) -> Option<TimedGuard> {
        let this = Some(std::process::id());
        let timeout = deadline.saturating_duration_since(Instant::now());
        let (mut holder, _) = self
            .unlocked
            .wait_timeout_while(self.holder(), timeout, |holder| *holder == this)
            .unwrap_or_else(PoisonError::into_inner);
        // Not `then_some`: it would build the guard in every case, and dropping the unused one
        // would lock `holder` again on this thread.
        (std::mem::replace(&mut *holder, this) != this).then(|| TimedGuard(self))
    }

    fn holder(&self) -> MutexGuard<'_, Option<u32>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TimedGuard {
    fn drop(&mut self) {
        *self.0.holder() = None;
        self.0.unlocked.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_locked_once_at_a_time_and_waits_no_longer_than_the_deadline() {
        static MUTEX: TimedMutex = TimedMutex::new();
        let guard = MUTEX.lock_until(Instant::now()).unwrap();
        assert!(MUTEX.lock_until(Instant::now() + Duration::from_millis(5)).is_none());
        let waiting =
            std::thread::spawn(|| MUTEX.lock_until(Instant::now() + Duration::from_mins(1)).is_some());
        drop(guard);
        assert!(waiting.join().unwrap());
        assert!(MUTEX.lock_until(Instant::now()).is_some(), "unlocked by the other thread");
    }
}
