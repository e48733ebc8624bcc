//! Recognizes the wakers of tokio's tasks. Nothing here knows a runtime.

use std::future::poll_fn;
use std::pin::pin;
use std::ptr;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::LocalSet;

/// The address of the table that the wakers of tokio's tasks have in common. `None` outside of a
/// runtime, until it is known.
///
/// A task that is never run by a runtime tells it: it is polled here, once.
pub(super) fn table_of_tasks() -> Option<usize> {
    static TABLE: OnceLock<usize> = OnceLock::new();
    if TABLE.get().is_none() && Handle::try_current().is_ok() {
        let set = LocalSet::new();
        set.spawn_local(poll_fn(|context| {
            let _ = TABLE.set(ptr::from_ref(context.waker().vtable()).addr());
            Poll::Ready(())
        }));
        let _ = pin!(set).poll(&mut Context::from_waker(Waker::noop()));
    }
    TABLE.get().copied()
}

#[cfg(all(test, not(gmr_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_wakers_of_tokios_tasks_are_recognized() {
        let table = || poll_fn(|context| Poll::Ready(ptr::from_ref(context.waker().vtable()).addr()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let of_task = runtime.block_on(async { tokio::spawn(table()).await.unwrap() });
        assert_eq!(runtime.block_on(async { table_of_tasks() }), Some(of_task));
        let set = LocalSet::new();
        let of_local = set.block_on(&runtime, async { tokio::task::spawn_local(table()).await.unwrap() });
        assert_eq!(of_local, of_task);
        // `block_on` has a waker of another kind.
        assert_ne!(runtime.block_on(table()), of_task);
    }
}
