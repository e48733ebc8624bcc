//! A closure for a blocking thread, tracked as a task from when it is made until it returns.

use std::panic::Location;

use crate::task::current;
use crate::task::registered::Registered;
use crate::task::tracked::readable_type;

/// While the closure runs, its task is shown as being polled by the thread that runs it.
pub(super) fn tracked<R>(
    spawned_at: &'static Location<'static>,
    function: impl FnOnce() -> R,
) -> impl FnOnce() -> R {
    let task = Registered::new(readable_type(std::any::type_name_of_val(&function)), spawned_at);
    move || {
        let _inside = task.as_ref().map(|task| {
            let (inside, tid) = current::enter(task.place);
            task.entry.begin(tid, false);
            inside
        });
        function()
    }
}
