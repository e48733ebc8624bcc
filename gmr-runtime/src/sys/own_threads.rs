//! Threads of gmr's own: how they are started, and which they are.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::current_tid;

/// What std gives a thread. Named, since std would look for an environment variable otherwise, behind a lock that the program can hold.
const STACK_SIZE: usize = 2 << 20;

/// The name of the one thread that lives as long as gmr is installed.
pub(crate) const REPORTER: &str = "gmr";

/// The threads that run now. Held for a moment at a time, by gmr's own threads alone.
static RUNNING: Mutex<Vec<(u32, &'static str)>> = Mutex::new(Vec::new());

/// Starts a thread, which the report marks as gmr's own.
///
/// # Errors
/// The operating system's refusal.
pub(crate) fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_SIZE).spawn(move || {
        let _enrolled = Enrolled::new(name);
        run();
    })?;
    Ok(())
}

/// Starts a thread that ends within `scope`.
///
/// # Errors
/// The operating system's refusal.
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_SIZE).spawn_scoped(scope, move || {
        let _enrolled = Enrolled::new(name);
        run()
    })
}

/// The ids and names of gmr's own threads.
pub(crate) fn all() -> Vec<(u32, &'static str)> {
    running().clone()
}

fn running() -> MutexGuard<'static, Vec<(u32, &'static str)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the calling thread on the list until it ends, in whichever way.
struct Enrolled(u32);

impl Enrolled {
    fn new(name: &'static str) -> Self {
        let tid = current_tid();
        running().push((tid, name));
        Self(tid)
    }
}

impl Drop for Enrolled {
    fn drop(&mut self) {
        running().retain(|&(tid, _)| tid != self.0);
    }
}
