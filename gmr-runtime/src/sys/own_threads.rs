//! Starts gmr's own threads, and knows which ones are running.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::{current_tid, memory_is_left};

/// The default of std. It is set explicitly, because std would read an environment variable
/// otherwise, under a lock that the program can hold.
const STACK_SIZE: usize = 2 << 20;

/// What must be left to start a thread: its stack, its alternate stack, and what it allocates at
/// first. std aborts the process if there is memory for the stack only.
const NEEDED: usize = STACK_SIZE + (6 << 20);

/// The name of the thread that runs for as long as gmr is installed.
pub(crate) const REPORTER: &str = "gmr";

/// The threads that are running. Only gmr's own threads lock it, and never for long.
static RUNNING: Mutex<Vec<(u32, &'static str)>> = Mutex::new(Vec::new());

/// Starts a thread, which the report marks as gmr's own.
///
/// # Errors
/// If the operating system cannot start a thread.
pub(crate) fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    check_memory()?;
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_SIZE).spawn(move || {
        let _registration = Registration::new(name);
        run();
    })?;
    Ok(())
}

/// Starts a thread that ends within `scope`.
///
/// # Errors
/// If the operating system cannot start a thread.
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    check_memory()?;
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_SIZE).spawn_scoped(scope, move || {
        let _registration = Registration::new(name);
        run()
    })
}

fn check_memory() -> io::Result<()> {
    if memory_is_left(NEEDED) { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

/// Calls `run`, and also returns the ids and names of gmr's own threads at its beginning and at its
/// end. Threads that end meanwhile are included.
pub(crate) fn during<T>(run: impl FnOnce() -> T) -> (T, Vec<(u32, &'static str)>) {
    let mut threads = running().clone();
    let result = run();
    threads.extend_from_slice(&running());
    (result, threads)
}

fn running() -> MutexGuard<'static, Vec<(u32, &'static str)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lists the calling thread until this is dropped, by a panic too.
struct Registration(u32);

impl Registration {
    fn new(name: &'static str) -> Self {
        let tid = current_tid();
        running().push((tid, name));
        Self(tid)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        running().retain(|&(tid, _)| tid != self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_that_ends_meanwhile_is_known() {
        let (end, ended) = mpsc::channel::<()>();
        let (send_tid, tid) = mpsc::channel();
        let run = move || {
            send_tid.send(current_tid()).unwrap();
            let _ = ended.recv();
        };
        spawn("gmr test", run).unwrap();
        let tid = tid.recv().unwrap();
        let is_running = || running().iter().any(|(other, _)| *other == tid);
        let ((), known) = during(|| {
            drop(end);
            while is_running() {
                thread::yield_now();
            }
        });
        assert!(known.contains(&(tid, "gmr test")));
    }
}
