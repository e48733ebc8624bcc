//! How many of a tokio runtime's tasks are tracked, by the numbers in the entries of tasks. Nothing
//! here knows a runtime.

use super::registered::TASKS;

/// The most runtimes that are kept. For a program that creates runtimes all the time, a list of
/// them would be of no use.
pub(super) const MOST: usize = 16;

/// The number of a runtime in a task's entry: from 1 to [`MOST`], possibly [`uncounted`].
pub(super) type Number = u8;

/// A runtime that is not kept, or none.
pub(super) const UNKNOWN: Number = 0;

const UNCOUNTED: Number = 0x80;

/// For a task on the runtime with this number that the runtime does not count: one of a `LocalSet`,
/// a closure on a blocking thread, a future of `block_on`, or part of another tracked task.
pub(super) const fn uncounted(number: Number) -> Number {
    UNCOUNTED | number
}

/// The runtime with which tokio has counted the task, if it is kept: its workers poll the task.
pub(super) const fn counted(number: Number) -> Option<Number> {
    if number == UNKNOWN || number & UNCOUNTED != 0 { None } else { Some(number) }
}

/// What the entries of tasks say about the runtimes.
pub(super) struct Tracked {
    /// How many tasks are tracked among those that each runtime counts, by its number.
    pub(super) counted: [usize; MOST + 1],
    /// Whether a tracked task is on the runtime, counted or not.
    pub(super) is_used: [bool; MOST + 1],
    /// How many tracked tasks have a runtime that is not known before their first poll.
    pub(super) new: usize,
}

/// `None` if some tasks can't be read.
pub(super) fn tracked() -> Option<Tracked> {
    let mut tracked = Tracked { counted: [0; MOST + 1], is_used: [false; MOST + 1], new: 0 };
    let is_read = TASKS.for_each(|task| {
        let number = task.runtime();
        tracked.new += usize::from(number == UNKNOWN && task.polls() == 0);
        if let Some(count) = tracked.counted.get_mut(usize::from(number)) {
            *count += 1;
        }
        if let Some(is_used) = tracked.is_used.get_mut(usize::from(number & !UNCOUNTED)) {
            *is_used = true;
        }
    });
    is_read.then_some(tracked)
}
