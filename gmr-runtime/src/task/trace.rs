//! Taking a trace: every waiting task is woken, and each poll that takes part records the stacks at
//! which its task waits. Nothing here names a frame or waits for a task without a deadline.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::branch::Branch;
use super::entry::Shared;
use super::registered::TASKS;
use super::waker::Span;
use crate::sys::own_threads;

/// The most frames of a branch. A deeper stack of one poll is a runaway recursion.
const MAX_FRAMES: usize = 512;

/// The interval at which [`survey`] checks whether all tasks have been polled.
const PAUSE: Duration = Duration::from_micros(200);

/// The trace that is being taken; 0 between traces.
static WANTED: AtomicU64 = AtomicU64::new(0);

/// The number of the next trace.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The distinct branches of the current trace: a hundred thousand tasks have a handful of them.
static SEEN: Mutex<Option<HashSet<Branch>>> = Mutex::new(None);

/// The trace in which every poll should take part, if one is being taken. One relaxed load.
pub(super) fn wanted() -> Option<u64> {
    match WANTED.load(Ordering::Relaxed) {
        0 => None,
        trace => Some(trace),
    }
}

/// Takes this part of the caller's stack.
pub(super) fn take(Span { leaf, root }: Span) -> Branch {
    let mut frames = Vec::with_capacity(64);
    backtrace::trace(|frame| {
        // Stacks grow downwards: a frame that begins below an address contains it, or is further
        // in.
        let begin = frame.sp().addr();
        let inside = begin <= root && frames.len() < MAX_FRAMES;
        if inside && begin > leaf {
            frames.push(frame.ip().addr() as u64);
        }
        inside
    });
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    if let Some(known) = seen.get(&frames[..]) {
        return Arc::clone(known);
    }
    let branch: Branch = frames.into();
    seen.insert(Arc::clone(&branch));
    branch
}

/// All tasks, as they were at one moment.
#[derive(Debug)]
pub(crate) struct Survey {
    /// In the order in which they were started.
    pub(crate) tasks: Vec<Shared>,
    /// The number of the trace, which identifies its branches in the entries.
    pub(crate) trace: u64,
    /// How many shards of the registry could not be read.
    pub(crate) unread: usize,
}

/// Takes a trace: wakes every waiting task and waits until all of them have been polled, at most
/// for `timeout`.
///
/// Waking a task runs the runtime's code, which may be stuck itself. It runs on a thread of its
/// own, which the report does not join.
pub(crate) fn survey(timeout: Duration) -> Survey {
    let deadline = Instant::now() + timeout;
    let (tasks, unread) = TASKS.all();
    let trace = NEXT.fetch_add(1, Ordering::Relaxed);
    let survey = Survey { tasks, trace, unread };
    if survey.tasks.is_empty() {
        return survey;
    }
    WANTED.store(trace, Ordering::Relaxed);
    let waiting: Arc<[Shared]> = survey.tasks.iter().filter(|task| task.is_waiting()).cloned().collect();
    let to_wake = Arc::clone(&waiting);
    let spawned = own_threads::spawn("gmr tasks", move || {
        for task in to_wake.iter() {
            if wanted() != Some(trace) {
                return;
            }
            task.wake(trace);
        }
    });
    if spawned.is_ok() {
        let mut settled = 0;
        while Instant::now() < deadline {
            settled += waiting[settled..].iter().take_while(|task| task.is_settled(trace)).count();
            if settled == waiting.len() {
                break;
            }
            thread::sleep(PAUSE);
        }
    }
    WANTED.store(0, Ordering::Relaxed);
    *SEEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    survey
}
