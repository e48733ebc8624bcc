//! Locks mutexes that a forked child may find locked by a thread that exists only in its parent.
//! Nothing unlocks such a mutex, so nothing may wait for it without a limit.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_millis(1);

/// Locks the mutex, also after a panic. `None` if it stays locked for as long as `timeout`.
pub(crate) fn lock_within<T>(mutex: &Mutex<T>, timeout: Duration) -> Option<MutexGuard<'_, T>> {
    let until = Instant::now() + timeout;
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return None,
            Err(TryLockError::WouldBlock) => super::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_lock_is_waited_for_and_given_up() {
        let mutex = Mutex::new(7);
        let guard = lock_within(&mutex, Duration::ZERO).unwrap();
        assert!(lock_within(&mutex, 2 * PAUSE).is_none());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| lock_within(&mutex, Duration::from_mins(1)).map(|value| *value));
            drop(guard);
            assert_eq!(waiting.join().unwrap(), Some(7));
        });
    }

    #[test]
    fn a_panic_under_the_lock_does_not_matter() {
        let mutex = Mutex::new(7);
        let panic = || {
            let _guard = mutex.lock().unwrap();
            std::panic::resume_unwind(Box::new("under the lock"));
        };
        thread::scope(|scope| scope.spawn(panic).join().unwrap_err());
        assert_eq!(lock_within(&mutex, Duration::ZERO).map(|value| *value), Some(7));
    }
}
