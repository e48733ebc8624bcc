//! Which wakers the threads that wake tasks are calling. A waker runs the runtime's code, and one
//! that blocks holds its thread: the next trace must not lose another thread to it. Nothing here
//! wakes a task.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::waker::Lent;
use crate::sys::{self, own_threads};

/// The most threads that can be waking tasks, or can have been stopped while they did.
const MOST: usize = 8;

/// How long a trace waits for the threads of earlier ones to return from a waker that does not
/// block: one that was woken at the end of the trace may still run.
const GRACE: Duration = Duration::from_millis(20);

const PAUSE: Duration = Duration::from_millis(1);

/// No thread has the place.
const FREE: usize = 0;

/// The thread that has the place is not inside a waker.
const OUTSIDE: usize = 1;

/// For each thread, the table of the waker that it is calling.
static PLACES: [AtomicUsize; MOST] = [const { AtomicUsize::new(FREE) }; MOST];

/// The place of a thread that wakes tasks.
#[derive(Debug)]
pub(super) struct Waking(&'static AtomicUsize);

impl Waking {
    /// For one thread. `None` if too many are inside a waker that does not return.
    pub(super) fn begin() -> Option<Self> {
        let take = |place: &&AtomicUsize| {
            place.compare_exchange(FREE, OUTSIDE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        PLACES.iter().find(take).map(Self)
    }

    /// Wakes by this waker.
    ///
    /// # Errors
    /// The message, if the waker panics. A queue of an executor can be full, for example: a trace
    /// wakes more tasks at a time than the program does.
    pub(super) fn wake(&self, waker: Lent) -> Result<(), String> {
        self.0.store(waker.table(), Ordering::Relaxed);
        let woken = own_threads::catch(|| waker.wake());
        self.0.store(OUTSIDE, Ordering::Relaxed);
        woken
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        self.0.store(FREE, Ordering::Relaxed);
    }
}

/// The tables of the wakers that threads of earlier traces are inside of.
pub(super) fn blocking() -> Vec<usize> {
    let tables = || -> Vec<usize> {
        let tables = PLACES.iter().map(|place| place.load(Ordering::Relaxed));
        tables.filter(|table| ![FREE, OUTSIDE].contains(table)).collect()
    };
    let mut waited = Duration::ZERO;
    while !tables().is_empty() && waited < GRACE {
        sys::sleep(PAUSE);
        waited += PAUSE;
    }
    tables()
}
