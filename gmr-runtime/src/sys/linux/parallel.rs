//! Divides a list among as many threads as are useful.
//!
//! It decides only which thread takes which part. Where no thread can be started, the calling
//! thread does all of it.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::descriptor_table::{is_separate, share_separate};
use crate::sys::own_threads;

/// How many items a thread takes at a time. Reading one thread of a process takes some ten
/// microseconds, starting a thread about sixty: with fewer items, a second thread gains nothing.
const CHUNK: usize = 64;
/// More threads than this wait for the kernel's locks more than they gain.
const MAX_WORKERS: usize = 8;

/// Calls `work` on this thread and on some others, one for each processor that the process may use.
/// Each takes chunks of `items` until there are none left. Returns what each has returned.
pub(crate) fn divide<T: Sync, R: Send>(items: &[T], work: impl Fn(Chunks<'_, T>) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    run_on(workers(items.len()), &|| {
        let result = work(Chunks { items, next: &next });
        results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `work` on as many threads as can be started of these, this one among them.
fn run_on(threads: usize, work: &(dyn Fn() + Sync)) {
    let has_own_table = is_separate();
    let other = || {
        if has_own_table {
            share_separate();
        }
        work();
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map_while(|_| own_threads::spawn_scoped(scope, "gmr section", Box::new(other)).ok())
            .collect();
        work();
        for other in others {
            if let Err(panic) = other.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn workers(items: usize) -> usize {
    if items <= CHUNK {
        return 1;
    }
    // It considers the CPUs that this thread may run on, and the quota of its cgroup.
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    processors.min(items.div_ceil(CHUNK)).min(MAX_WORKERS)
}

/// Chunks of the items that no other thread has taken.
pub(crate) struct Chunks<'a, T> {
    items: &'a [T],
    next: &'a AtomicUsize,
}

impl<'a, T> Iterator for Chunks<'a, T> {
    type Item = &'a [T];

    fn next(&mut self) -> Option<&'a [T]> {
        // Relaxed: the items do not change, and the results are handed over by the thread's end.
        let start = self.next.fetch_add(CHUNK, Ordering::Relaxed);
        let rest = self.items.get(start..).filter(|rest| !rest.is_empty())?;
        Some(&rest[..rest.len().min(CHUNK)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_taken_once() {
        for length in [0, 1, CHUNK, CHUNK + 1, 10 * CHUNK - 1] {
            let items: Vec<usize> = (0..length).collect();
            let parts = divide(&items, |chunks| chunks.flatten().copied().collect::<Vec<_>>());
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, items);
            assert!((1..=MAX_WORKERS).contains(&parts.len()));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let items = [0; 3 * CHUNK];
        let panicked = std::panic::catch_unwind(|| {
            divide(&items, |chunks| assert_eq!(chunks.count(), 0));
        });
        assert!(panicked.is_err());
    }
}
