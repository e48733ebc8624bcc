//! A closure for a blocking thread, tracked as a task from when it is made until it returns.

use std::panic::Location;

use crate::task::counts::{Number, uncounted};
use crate::task::current;
use crate::task::kinds;
use crate::task::registered::Registered;

/// A task on the runtime with this number. While the closure runs, its task is shown as being
/// polled by the thread that runs it.
pub(super) fn tracked<R>(
    spawned_at: &'static Location<'static>,
    runtime: Number,
    function: impl FnOnce() -> R,
) -> impl FnOnce() -> R {
    labelled(spawned_at, runtime, None, function)
}

/// The same, with this name as a label.
pub(super) fn labelled<R, F: FnOnce() -> R>(
    spawned_at: &'static Location<'static>,
    runtime: Number,
    name: Option<&str>,
    function: F,
) -> impl FnOnce() -> R + use<R, F> {
    current::notice_forks();
    let task = Registered::new(std::any::type_name::<F>(), spawned_at);
    if let Some(task) = &task {
        task.entry.set_blocking();
        task.entry.set_runtime(uncounted(runtime));
        if let Some(name) = name {
            task.entry.label("name", name.to_owned());
        }
    }
    move || {
        let _inside = task.as_ref().map(|task| {
            let (inside, tid) = current::enter(task.place);
            task.entry.begin(tid, false);
            inside
        });
        let result = function();
        if let Some(task) = &task {
            kinds::completed(&task.entry);
        }
        result
    }
}
