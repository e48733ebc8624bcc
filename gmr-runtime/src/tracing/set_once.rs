//! A value that is set once, and that nothing waits for.
//!
//! `OnceLock` waits while another thread makes the value. Making one takes long enough for that to
//! be noticed, and in a forked child, the thread may not exist.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a thread looks for the value of another one that is storing it. Storing takes a few
/// nanoseconds, unless the thread is stopped meanwhile.
const ATTEMPTS: usize = 100;

#[derive(Debug)]
pub(super) struct SetOnce<T> {
    /// Whether a thread has begun to store a value, perhaps in the parent process.
    is_claimed: AtomicBool,
    value: OnceLock<T>,
}

impl<T> SetOnce<T> {
    pub(super) const fn new() -> Self {
        Self { is_claimed: AtomicBool::new(false), value: OnceLock::new() }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value. If there is none, makes one; of several threads that do so, one stores its own,
    /// and the others drop theirs. `None` if a thread was stopped while it stored one, or was
    /// storing it when this process was forked.
    #[inline]
    pub(super) fn get_or_set(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.value.get().or_else(|| self.set(make()))
    }

    #[cold]
    fn set(&self, value: T) -> Option<&T> {
        if !self.is_claimed.swap(true, Ordering::Relaxed) {
            // Only one thread gets here, so this does not wait.
            let _ = self.value.set(value);
        }
        (0..ATTEMPTS).find_map(|attempt| {
            if attempt > 0 {
                std::hint::spin_loop();
            }
            self.value.get()
        })
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn it_is_set_once() {
        let value = SetOnce::new();
        assert_eq!(value.get(), None);
        assert_eq!(
            (value.get_or_set(|| 1), value.get_or_set(|| 2), value.get()),
            (Some(&1), Some(&1), Some(&1))
        );
    }

    #[test]
    fn a_thread_that_never_finishes_is_not_waited_for() {
        let value = SetOnce::new();
        value.is_claimed.store(true, Ordering::Relaxed);
        assert_eq!(value.get_or_set(|| 1), None);
    }

    #[test]
    fn no_thread_waits_for_another_one_that_makes_a_value() {
        let value = SetOnce::new();
        let (is_making, is_set) = (Barrier::new(2), Barrier::new(2));
        let slow = || {
            is_making.wait();
            is_set.wait();
            1
        };
        thread::scope(|scope| {
            let slow = scope.spawn(|| value.get_or_set(slow));
            is_making.wait();
            assert_eq!(value.get_or_set(|| 2), Some(&2));
            is_set.wait();
            assert_eq!(slow.join().unwrap(), Some(&2));
        });
    }
}
