//! Threads of gmr's own: how they are started, and which they are.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::stack;

/// What std gives a thread. Named, since std would look for an environment variable otherwise, behind a lock that the program can hold.
const STACK_SIZE: usize = 2 << 20;

/// The threads that run now. Held for a moment at a time, by gmr's own threads alone.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Starts a thread, which the report marks as gmr's own.
///
/// # Errors
/// The operating system's refusal.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_SIZE).spawn(move || {
        let _enrolled = Enrolled::new();
        run();
    })?;
    Ok(())
}

/// The ids of gmr's own threads.
pub(crate) fn tids() -> Vec<u32> {
    running().clone()
}

fn running() -> MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the calling thread on the list until it ends, in whichever way.
struct Enrolled(u32);

impl Enrolled {
    fn new() -> Self {
        let tid = stack::current_tid();
        running().push(tid);
        Self(tid)
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        running().retain(|&tid| tid != self.0);
    }
}
