//! The locks and atomics that an entry and the registry are made of: std's, or, in a test that is
//! built with `--cfg gmr_loom`, those of the model checker (`loom_tests.rs`).

#[cfg(not(all(test, gmr_loom)))]
pub(super) use std::{
    sync::{Mutex, MutexGuard, atomic},
    thread::yield_now,
};

#[cfg(not(all(test, gmr_loom)))]
pub(super) use crate::sys::forked_lock::lock_within;

/// Nothing forks in the model checker.
#[cfg(all(test, gmr_loom))]
pub(super) fn lock_within<T>(mutex: &Mutex<T>, _: std::time::Duration) -> Option<MutexGuard<'_, T>> {
    mutex.lock().ok()
}

#[cfg(all(test, gmr_loom))]
pub(super) use loom::{
    sync::{Mutex, MutexGuard, atomic},
    thread::yield_now,
};
