//! A value that is set once, and that nothing ever waits for.
//!
//! `OnceLock` waits while another thread sets the value. In a forked child, that thread may not
//! exist.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(super) struct SetOnce<T> {
    /// Whether a thread has begun to set the value, perhaps in the parent process.
    is_claimed: AtomicBool,
    value: OnceLock<T>,
}

impl<T> SetOnce<T> {
    pub(super) const fn new() -> Self {
        Self { is_claimed: AtomicBool::new(false), value: OnceLock::new() }
    }

    pub(super) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, set by this call if no thread has begun to set it. `None` if another thread is
    /// setting it, or was when this process was forked.
    pub(super) fn get_or_set(&self, make: impl FnOnce() -> T) -> Option<&T> {
        if self.value.get().is_none() && !self.is_claimed.swap(true, Ordering::Relaxed) {
            // Only one thread gets here, so this does not wait.
            let _ = self.value.set(make());
        }
        self.value.get()
    }
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
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
}
