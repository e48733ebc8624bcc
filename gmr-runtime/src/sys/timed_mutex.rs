//! Taking turns with a deadline, for what can be done once at a time in a process.
//!
//! Only gmr's own threads take turns, so whoever waits here waits for gmr's own deadlines and for nothing of the program's.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Something that one thread at a time may do.
#[derive(Debug)]
pub(crate) struct Turn {
    /// By which process: one that was forked meanwhile has this memory, and not the thread that would give the turn back.
    taken: Mutex<Option<u32>>,
    given_back: Condvar,
}

/// It is the holder's turn, until this is dropped; on whichever thread that happens.
#[derive(Debug)]
pub(crate) struct MyTurn(&'static Turn);

impl Turn {
    pub(crate) const fn new() -> Self {
        Self { taken: Mutex::new(None), given_back: Condvar::new() }
    }

    /// Waits for a turn until then.
    pub(crate) fn take(&'static self, until: Instant) -> Option<MyTurn> {
        let this = Some(std::process::id());
        let patience = until.saturating_duration_since(Instant::now());
        let (mut taken, _) = self
            .given_back
            .wait_timeout_while(self.lock(), patience, |taken| *taken == this)
            .unwrap_or_else(PoisonError::into_inner);
        // Not `then_some`: a turn that is made in vain would be given back at once, under this very lock.
        (std::mem::replace(&mut *taken, this) != this).then(|| MyTurn(self))
    }

    fn lock(&self) -> MutexGuard<'_, Option<u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MyTurn {
    fn drop(&mut self) {
        *self.0.lock() = None;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_at_a_time_and_not_for_ever() {
        static TURN: Turn = Turn::new();
        let mine = TURN.take(Instant::now()).unwrap();
        assert!(TURN.take(Instant::now() + Duration::from_millis(5)).is_none());
        let waiting = std::thread::spawn(|| TURN.take(Instant::now() + Duration::from_mins(1)).is_some());
        drop(mine);
        assert!(waiting.join().unwrap());
        assert!(TURN.take(Instant::now()).is_some(), "given back by the other thread");
    }
}
