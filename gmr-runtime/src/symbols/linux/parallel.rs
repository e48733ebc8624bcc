//! Work that is shared by several threads.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use crate::sys::own_threads;

/// How many threads work at most: the program needs processors too.
const MAX_THREADS: usize = 4;

/// How many bytes are worth a thread: reading that many takes about ten times as long as starting
/// it.
const BYTES_PER_THREAD: usize = 1 << 20;

/// Calls `work` with each item, on this thread and on others if there are processors for them.
/// `bytes` is how much there is to read in all.
pub(super) fn each<T: Sync>(items: &[T], bytes: usize, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Relaxed)) {
            work(item);
        }
    };
    let useful = items.len().min(bytes / BYTES_PER_THREAD + 1).min(MAX_THREADS);
    let threads =
        if useful > 1 { thread::available_parallelism().map_or(1, usize::from).min(useful) } else { 1 };
    thread::scope(|scope| {
        for _ in 1..threads {
            // If one cannot be started, the others do its work.
            let _ = own_threads::spawn_scoped(scope, "gmr symbols", Box::new(run));
        }
        run();
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn each_item_is_worked_on_once() {
        for bytes in [0, 1 << 30] {
            let items: Vec<AtomicU32> = (0..1_000).map(|_| AtomicU32::new(0)).collect();
            each(&items, bytes, |item| {
                item.fetch_add(1, Relaxed);
            });
            assert!(items.iter().all(|item| item.load(Relaxed) == 1));
        }
        each(&[] as &[u8], 0, |_| unreachable!("there are none"));
    }
}
