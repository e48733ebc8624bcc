//! The task that the calling thread is polling, and the label that code inside a poll gives it.
//!
//! A thread remembers where its task is in the registry: two numbers, copied at each poll. The
//! entry itself would need a reference count that each poll changes, or unsafe code.

use std::cell::Cell;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::place::Place;
use super::registered::TASKS;
use crate::sys;

/// What a thread knows about itself.
struct Current {
    /// The innermost task that it is polling.
    task: Cell<Option<Place>>,
    /// The thread's id; 0 until the first poll in this process.
    tid: Cell<u32>,
}

/// The id in the parent of the thread that forked this process, if it had polled a task there. In a
/// child, it is the only thread, and has another id.
static ID_IN_PARENT: AtomicU32 = AtomicU32::new(0);

/// Runs before each fork, on the thread that forks.
extern "C" fn forks() {
    let _ = CURRENT.try_with(|_| ());
}

/// Runs in each forked child.
extern "C" fn forked() {
    TASKS.note_fork();
    let _ = CURRENT.try_with(|current| {
        if let id @ 1.. = current.tid.replace(0) {
            ID_IN_PARENT.store(id, Ordering::Relaxed);
        }
    });
}

/// Has forked children run [`forked`]. Needed before a thread first locks a part of the registry: a
/// child that does not know that it is one would wait without end for what another thread had
/// locked.
#[inline]
pub(super) fn notice_forks() {
    static NOTICED: AtomicBool = AtomicBool::new(false);
    if NOTICED.load(Ordering::Acquire) {
        return;
    }
    // Several threads may do this. What runs twice in a child changes nothing the second time; a
    // thread that waited for another one here could find itself alone in a child.
    sys::in_children(forks, forked);
    NOTICED.store(true, Ordering::Release);
}

/// Notes the thread's id for this poll and the next ones.
#[cold]
fn note_id(tid: &Cell<u32>) {
    notice_forks();
    tid.set(sys::current_tid());
}

/// The id in this process of the thread with this id: a thread that was forked inside a poll had
/// another one when the poll began.
pub(crate) fn id_here(tid: u32) -> u32 {
    match ID_IN_PARENT.load(Ordering::Relaxed) {
        id if id != 0 && id == tid => std::process::id(),
        _ => tid,
    }
}

thread_local! {
    static CURRENT: Current = const { Current { task: Cell::new(None), tid: Cell::new(0) } };
}

/// This thread polls the task until this is dropped.
pub(super) struct Inside {
    outer: Option<Place>,
}

impl Inside {
    /// Whether a trace has caused the poll of the task around this one, and so this poll.
    pub(super) fn is_for_trace(&self) -> bool {
        self.outer.is_some_and(Place::is_for_trace)
    }
}

/// Notes that a trace has caused the poll of the current task, and so those of tasks inside.
pub(super) fn set_for_trace() {
    let _ = CURRENT.try_with(|current| current.task.set(current.task.get().map(Place::for_trace)));
}

/// Enters a task's poll, and returns the thread's id.
pub(super) fn enter(task: Place) -> (Inside, u32) {
    CURRENT
        .try_with(|current| {
            if current.tid.get() == 0 {
                note_id(&current.tid);
            }
            (Inside { outer: current.task.replace(Some(task)) }, current.tid.get())
        })
        // On some platforms a thread that is ending has no locals left. Not `unwrap_or`: dropping
        // an `Inside` that is not needed would leave the task.
        .unwrap_or_else(|_| (Inside { outer: None }, u32::MAX))
}

/// The thread's id, and the lower half of the id of the innermost task that it is polling; 0 if it
/// polls none.
#[cfg(feature = "tracing")]
#[inline]
pub(crate) fn here() -> (u32, u32) {
    CURRENT
        .try_with(|current| {
            if current.tid.get() == 0 {
                note_id(&current.tid);
            }
            let task = current.task.get().map_or(0, Place::id);
            (current.tid.get(), u32::try_from(task).unwrap_or_default())
        })
        .unwrap_or((u32::MAX, 0))
}

/// The innermost task that this thread is polling.
pub(super) fn task() -> Option<Place> {
    CURRENT.try_with(|current| current.task.get()).ok().flatten()
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.task.set(self.outer));
    }
}

/// Labels the current task, for reports: `label("request", id)`. A label with the same key is
/// replaced.
///
/// The current task is the innermost tracked one that the calling thread is polling. Outside a
/// tracked task, this does nothing. The cost does not depend on the number of tasks.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// gmr_runtime::task::track(async {
///     gmr_runtime::task::label("order", 4711);
/// })
/// .await;
/// # }
/// ```
///
/// Reports mask secrets in the value, as in a section.
pub fn label(key: &'static str, value: impl Display) {
    if let Some(task) = task().and_then(|place| TASKS.find(place)) {
        task.label(key, value.to_string());
    }
}
