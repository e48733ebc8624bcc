//! `thread.lock-wait`: threads that wait for a lock, one finding per lock.

use super::facts::{Facts, count, finding, ids, names};
use crate::model::{Finding, Frame, FutexOwner, Severity, Thread};
use crate::sys::sorted_map::SortedMap;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let functions = locks(facts.frames);
    let mut locks: SortedMap<u64, Vec<&Thread>> = SortedMap::new();
    for thread in facts.threads() {
        let futex = thread.waiting.as_ref().and_then(|waiting| waiting.futex);
        if let Some(futex) = futex.filter(|_| waits_for_a_lock(&functions, thread)) {
            locks.entry(futex).push(thread);
        }
    }
    let of_lock = |(futex, waiting): (u64, Vec<&Thread>)| {
        let threads =
            count(waiting.len(), "thread is waiting for a lock", "threads are waiting for the same lock");
        let owners = waiting.iter().filter_map(|thread| thread.waiting.as_ref()?.futex_owner.as_ref());
        let mut owners: Vec<&FutexOwner> = owners.collect();
        owners.dedup();
        // The lock can have changed hands while the threads were listed.
        let owner = if let [owner] = owners[..] { held_by(owner) } else { String::new() };
        let message = format!("{threads} (futex {futex:#x}{owner}): {}", names(&waiting));
        Finding { threads: ids(&waiting), ..finding("thread.lock-wait", Severity::Warning, message) }
    };
    locks.into_iter().map(of_lock).collect()
}

/// `, held by #42 (worker)`
fn held_by(owner: &FutexOwner) -> String {
    match &owner.name {
        Some(name) if !name.is_empty() => format!(", held by #{} ({name})", owner.tid),
        _ => format!(", held by #{}", owner.tid),
    }
}

/// Whether each of the report's frames is in a function that is known to wait for a lock. Threads
/// share frames, and there can be thousands of threads.
fn locks(frames: &[Frame]) -> Vec<bool> {
    const LOCKS: [&str; 7] = [
        "lock_contended",
        "lock_slow",
        "read_contended",
        "write_contended",
        "pthread_mutex_lock",
        "pthread_rwlock_",
        "__lll_lock_wait",
    ];
    let is_lock = |frame: &Frame| {
        let function = frame.function.as_deref().unwrap_or_default();
        LOCKS.iter().any(|lock| function.contains(lock))
    };
    frames.iter().map(is_lock).collect()
}

/// Whether one of the innermost functions is one of `locks`.
fn waits_for_a_lock(locks: &[bool], thread: &Thread) -> bool {
    /// Frames to search: enough for those between the system call and the lock's function, with
    /// inlined ones.
    const INNERMOST: usize = 8;
    let innermost = thread.stack.frames.iter().take(INNERMOST);
    innermost.filter_map(|&index| locks.get(usize::try_from(index).ok()?)).any(|is_lock| *is_lock)
}
