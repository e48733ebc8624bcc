//! The thread that watches [timers](super::timers), and requests reports of what is overdue. It is
//! started with the first one, and sleeps until the next is due.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::automatic;
use super::timers::{Matter, Timers};
use crate::sys::forked_lock::lock_within;
use crate::sys::own_threads;

struct Watch {
    timers: Timers,
    /// The process whose thread watches; 0 if there is none. A forked child has a copy of this
    /// memory, but not that thread.
    pid: u32,
    /// When the thread wakes up. `None` if it sleeps until there is something to watch.
    wakes: Option<Instant>,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { timers: Timers::new(), pid: 0, wakes: None });
static CHANGED: Condvar = Condvar::new();

/// How long other threads may hold the lock, which takes microseconds. In a forked child, it may be
/// locked forever.
const LOCKED_WITHIN: Duration = Duration::from_millis(100);

/// Something that is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    id: u64,
    pid: u32,
}

/// Watches something from now on, which is overdue after `limit`. `None` if gmr is not installed in
/// this process, or no thread can be started.
pub(crate) fn add(matter: Matter, limit: Duration) -> Option<Watched> {
    if !automatic::is_connected() {
        return None;
    }
    let pid = std::process::id();
    let mut watch = lock_within(&WATCH, LOCKED_WITHIN)?;
    if watch.pid != pid {
        if !automatic::is_installed() {
            return None;
        }
        // In a forked child, they are the parent's.
        watch.timers.clear();
        watch.wakes = None;
        own_threads::spawn("gmr watch", run).ok()?;
        watch.pid = pid;
    }
    let now = Instant::now();
    let id = watch.timers.add(matter, limit, now);
    if watch.wakes.is_none_or(|wakes| watch.timers.next().is_some_and(|next| next < wakes)) {
        CHANGED.notify_one();
    }
    Some(Watched { id, pid })
}

impl Drop for Watched {
    fn drop(&mut self) {
        // In a forked child, there is nothing to remove.
        if let Some(mut watch) = lock_within(&WATCH, LOCKED_WITHIN)
            && watch.pid == self.pid
        {
            watch.timers.remove(self.id);
        }
    }
}

fn run() {
    automatic::prepare_thread();
    let mut watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let next = watch.timers.next();
        watch.wakes = next;
        watch = match next {
            None => CHANGED.wait(watch).unwrap_or_else(PoisonError::into_inner),
            Some(next) => {
                let left = next.saturating_duration_since(Instant::now());
                let waited = CHANGED.wait_timeout(watch, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        let now = Instant::now();
        let Some(planned) = next.filter(|next| *next <= now) else { continue };
        let events = watch.timers.overdue(planned, now);
        drop(watch);
        for event in events {
            automatic::request(event);
        }
        watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
    }
}
