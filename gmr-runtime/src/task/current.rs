//! The task that the calling thread is polling.

use std::cell::Cell;
use std::fmt::Display;

use super::registered::TASKS;
use crate::sys;

thread_local! {
    /// The id of the task, 0 outside of any; and the thread's id, 0 until it is asked for.
    static POLLING: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// This thread polls the task until this is dropped.
pub(super) struct Inside {
    outer: u64,
}

/// Enters a task's poll, and tells the thread's id.
pub(super) fn enter(task: u64) -> (Inside, u32) {
    // A thread that is ending has no place for it any more, and no need.
    POLLING
        .try_with(|polling| {
            let (outer, known) = polling.get();
            let tid = if known == 0 { sys::current_tid() } else { known };
            polling.set((task, tid));
            (Inside { outer }, tid)
        })
        // Not `unwrap_or`: an `Inside` that is made in vain would leave the task again.
        .unwrap_or_else(|_| (Inside { outer: 0 }, u32::MAX))
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = POLLING.try_with(|polling| polling.set((self.outer, polling.get().1)));
    }
}

/// Labels the task that this is called from, for reports: `label("request", id)`. A label of the same key is replaced. Outside of any tracked task, nothing happens.
///
/// ```
/// # futures_lite_block_on(async {
/// gmr_runtime::task::track(async {
///     gmr_runtime::task::label("order", 4711);
/// })
/// .await;
/// # });
/// # fn futures_lite_block_on<F: Future>(future: F) -> F::Output {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop { if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) { return done } }
/// # }
/// ```
///
/// Secrets in it are masked when it is shown, as in a section.
pub fn label(key: &'static str, value: impl Display) {
    let id = POLLING.try_with(|polling| polling.get().0).unwrap_or(0);
    if id != 0
        && let Some(task) = TASKS.find(id)
    {
        task.label(key, value.to_string());
    }
}
