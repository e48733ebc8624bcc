//! Starts gmr's own threads, and knows which ones are running.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::forked_lock::lock_within;
use super::{current_tid, memory_is_left};

/// The default of std. It is set explicitly, because std would read an environment variable
/// otherwise, under a lock that the program can hold.
const STACK_SIZE: usize = 2 << 20;

/// What must be left to start a thread: its stack, its alternate stack, and what it allocates at
/// first. std aborts the process if there is memory for the stack only.
const NEEDED: usize = STACK_SIZE + (6 << 20);

/// The name of the thread that runs for as long as gmr is installed.
pub(crate) const REPORTER: &str = "gmr";

/// How many of the threads that have ended are remembered.
const REMEMBERED: usize = 64;

/// How long gmr's threads may hold [`THREADS`]. In a forked child, it may be locked forever: then
/// gmr's threads are shown as the program's.
const LOCKED_WITHIN: Duration = Duration::from_millis(100);

/// gmr's own threads. Only they lock it, and never for long.
static THREADS: Mutex<OwnThreads> = Mutex::new(OwnThreads::none(0));

/// How many threads of gmr's have been started and have not run yet, so that they are not in
/// [`THREADS`].
static STARTING: AtomicU32 = AtomicU32::new(0);

/// Ids and names of gmr's own threads.
#[derive(Debug, Clone)]
pub(crate) struct OwnThreads {
    /// The process that they are in. A forked child has this memory, but not these threads.
    pid: u32,
    running: Vec<(u32, &'static str)>,
    /// The last ones that have ended. The kernel still lists each of them for some time.
    ended: Vec<(u32, &'static str)>,
    /// Whether some have been started and have not run yet.
    are_starting: bool,
}

impl OwnThreads {
    const fn none(pid: u32) -> Self {
        Self { pid, running: Vec::new(), ended: Vec::new(), are_starting: false }
    }

    /// The name of the thread with this id, if it is one of gmr's own. `kernels` is the name that
    /// the kernel has for it: a thread of the program can have the id of one that has ended. One
    /// that has not run yet still has the name of the thread that started it.
    pub(crate) fn name_of(&self, tid: u32, kernels: &str) -> Option<&'static str> {
        let running = self.running.iter().find(|(other, _)| *other == tid);
        let ended = || self.ended.iter().find(|(other, name)| *other == tid && *name == kernels);
        let starting = || self.running.iter().find(|(_, name)| self.are_starting && *name == kernels);
        running.or_else(ended).or_else(starting).map(|(_, name)| *name)
    }
}

/// Starts a thread, which the report marks as gmr's own.
///
/// # Errors
/// If the operating system cannot start a thread.
pub(crate) fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start(name, Box::new(run))
}

/// Starts any of the threads. std's function would be compiled for each of their closures.
fn start(name: &'static str, run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let starting = Starting::new()?;
    builder(name).spawn(move || registered(name, starting, run))?;
    Ok(())
}

/// Starts a thread that calls `prepare` and then `run`. If the process may have no more threads,
/// calls `run` on the calling thread, without `prepare`.
///
/// # Errors
/// Too little memory is left to start a thread, and therefore to call `run`.
pub(crate) fn spawn_or_run(
    name: &'static str,
    prepare: fn(),
    run: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    start_or_run(name, prepare, Box::new(run))
}

fn start_or_run(name: &'static str, prepare: fn(), run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    // A thread that can't be started drops what it was to run.
    let run = Arc::new(Mutex::new(Some(run)));
    let take = |run: &Mutex<Option<_>>| run.lock().unwrap_or_else(PoisonError::into_inner).take();
    let for_thread = Arc::clone(&run);
    let started = spawn(name, move || {
        prepare();
        if let Some(run) = take(&for_thread) {
            run();
        }
    });
    match started {
        Err(error) if is_limit(&error) => {
            if let Some(run) = take(&run) {
                run();
            }
            Ok(())
        }
        started => started,
    }
}

/// Whether a thread could not be started because of a limit on the number of threads: of this
/// process, its user, its cgroup, or the machine.
pub(crate) fn is_limit(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::OutOfMemory
}

/// Starts a thread that ends within `scope`.
///
/// # Errors
/// If the operating system cannot start a thread.
pub(crate) fn spawn_scoped<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &'static str,
    run: Box<dyn FnOnce() + Send + 'scope>,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    let starting = Starting::new()?;
    builder(name).spawn_scoped(scope, move || registered(name, starting, run))
}

fn builder(name: &'static str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK_SIZE)
}

/// What each thread does.
fn registered(name: &'static str, starting: Starting, run: Box<dyn FnOnce() + Send + '_>) {
    let _registration = Registration::new(name, starting);
    run();
}

thread_local! {
    /// Set while the thread is inside [`catch`].
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Calls `run`, which runs code of the program's that the program has not called. If gmr's hook is
/// set, the program's hook does not see a panic in it: that hook may end the process.
///
/// If panics abort the process, or this one cannot unwind, gmr's hook parks the thread.
///
/// # Errors
/// The message, if it panics.
pub(crate) fn catch(run: impl FnOnce()) -> Result<(), String> {
    CATCHES.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    CATCHES.set(false);
    result.map_err(|payload| {
        let message = message_of(&*payload).to_owned();
        // The payload's destructor may panic as well, and nothing would catch that.
        std::mem::forget(payload);
        message
    })
}

/// Whether the calling thread is inside [`catch`].
pub(crate) fn is_catching() -> bool {
    CATCHES.try_with(Cell::get).unwrap_or(false)
}

/// Whether the calling thread is one of gmr's own.
pub(crate) fn is_current() -> bool {
    let tid = current_tid();
    threads().is_some_and(|threads| threads.running.iter().any(|(other, _)| *other == tid))
}

/// How many of gmr's own threads have this name.
pub(crate) fn count(name: &str) -> usize {
    threads().map_or(0, |threads| threads.running.iter().filter(|(_, other)| *other == name).count())
}

/// The message of a panic.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("non-string panic payload")
}

/// Calls `run`, and also returns gmr's own threads at its beginning and at its end. Threads that
/// end meanwhile are included.
pub(crate) fn during<T>(run: impl FnOnce() -> T) -> (T, OwnThreads) {
    let known = || threads().map_or(OwnThreads::none(0), |threads| threads.clone());
    let before = known().running;
    let result = run();
    let are_starting = STARTING.load(Ordering::Acquire) > 0;
    let mut all = known();
    all.running.extend(before);
    all.are_starting = are_starting;
    (result, all)
}

/// `None` if this is a forked child in which they stay locked.
fn threads() -> Option<MutexGuard<'static, OwnThreads>> {
    let mut threads = lock_within(&THREADS, LOCKED_WITHIN)?;
    let pid = std::process::id();
    if threads.pid != pid {
        *threads = OwnThreads::none(pid);
    }
    Some(threads)
}

/// Counts a thread that is being started until this is dropped: by the thread once it runs, or
/// because it could not be started.
struct Starting;

impl Starting {
    /// Fails if too little memory is left.
    fn new() -> io::Result<Self> {
        if !memory_is_left(NEEDED) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        STARTING.fetch_add(1, Ordering::AcqRel);
        Ok(Self)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Lists the calling thread until this is dropped, by a panic too.
struct Registration(u32);

impl Registration {
    fn new(name: &'static str, starting: Starting) -> Self {
        let tid = current_tid();
        if let Some(mut threads) = threads() {
            threads.running.push((tid, name));
        }
        drop(starting);
        Self(tid)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(mut threads) = threads() else { return };
        let Some(place) = threads.running.iter().position(|&(tid, _)| tid == self.0) else { return };
        let (tid, name) = threads.running.swap_remove(place);
        // It may have the program's name, from a section.
        super::name_thread(name.as_bytes());
        if threads.ended.len() == REMEMBERED {
            threads.ended.remove(0);
        }
        threads.ended.push((tid, name));
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
        let is_running = || threads().unwrap().running.iter().any(|(other, _)| *other == tid);
        let ((), known) = during(|| {
            drop(end);
            while is_running() {
                thread::yield_now();
            }
        });
        assert_eq!(known.name_of(tid, "any"), Some("gmr test"));
        // The kernel may list it for longer.
        let ((), known) = during(|| ());
        assert_eq!(known.name_of(tid, "gmr test"), Some("gmr test"));
        assert_eq!(known.name_of(tid, "any"), None, "another thread with its id");
    }

    #[test]
    fn a_thread_that_has_not_run_yet_is_known_by_the_name_of_the_one_that_started_it() {
        let mut known = OwnThreads { running: vec![(1, "gmr test")], ..OwnThreads::none(0) };
        assert_eq!(known.name_of(2, "gmr test"), None, "a thread of the program");
        known.are_starting = true;
        assert_eq!(known.name_of(2, "gmr test"), Some("gmr test"));
        assert_eq!(known.name_of(2, "worker"), None);
    }
}
