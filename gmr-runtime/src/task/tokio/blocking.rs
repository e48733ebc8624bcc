//! A closure for a blocking thread, tracked as a task from when it is made until it returns.

use std::panic::Location;

use crate::task::current;
use crate::task::registered::Registered;
use crate::task::runtimes;
use crate::task::tracked::readable_type;

/// While the closure runs, its task is shown as being polled by the thread that runs it.
pub(super) fn tracked<R>(
    spawned_at: &'static Location<'static>,
    function: impl FnOnce() -> R,
) -> impl FnOnce() -> R {
    labelled(spawned_at, None, function)
}

/// The same, with this name as a label.
pub(super) fn labelled<R, F: FnOnce() -> R>(
    spawned_at: &'static Location<'static>,
    name: Option<&str>,
    function: F,
) -> impl FnOnce() -> R + use<R, F> {
    let task = Registered::new(readable_type(std::any::type_name::<F>()), spawned_at);
    if let Some(task) = &task {
        task.entry.set_runtime(runtimes::UNCOUNTED);
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
        function()
    }
}
