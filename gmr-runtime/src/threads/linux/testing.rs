//! For the unit tests of this module: threads that wait in a known way.

use std::sync::mpsc;
use std::thread;

use crate::sys::current_tid;

/// Starts a thread that waits, and returns its id.
pub(super) fn thread_that(wait: impl FnOnce() + Send + 'static) -> u32 {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        sender.send(current_tid()).unwrap();
        wait();
    });
    receiver.recv().unwrap()
}
