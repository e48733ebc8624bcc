//! Taking the traces of all tasks, and the stacks that make one.

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

/// Deeper stacks of one poll are recursions.
const MOST_FRAMES: usize = 512;

/// How long to wait between looks at whether all tasks have answered.
const PAUSE: Duration = Duration::from_micros(200);

/// The trace that is being taken; 0 while none is.
static WANTED: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Stacks of the present trace that have been seen: a hundred thousand tasks have a handful of different ones.
static SEEN: Mutex<Option<HashSet<Branch>>> = Mutex::new(None);

/// The trace that every poll should take part in, if there is one. One relaxed load.
pub(super) fn wanted() -> Option<u64> {
    match WANTED.load(Ordering::Relaxed) {
        0 => None,
        trace => Some(trace),
    }
}

/// This part of the caller's stack.
pub(super) fn take(Span { leaf, root }: Span) -> Branch {
    let mut frames = Vec::with_capacity(64);
    backtrace::trace(|frame| {
        // Stacks grow downwards: a frame that begins below an address holds it, or is further in.
        let begin = frame.sp().addr();
        let inside = begin <= root && frames.len() < MOST_FRAMES;
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
    /// The number by which their answers are known.
    pub(crate) trace: u64,
    /// Parts of the registry that could not be read.
    pub(crate) unread: usize,
}

/// Asks every waiting task where it waits, and waits for the answers until `patience` is over.
///
/// What wakes a task is the runtime's code, which may itself be stuck: it runs on a thread of its own, which nobody waits for.
pub(crate) fn survey(patience: Duration) -> Survey {
    let until = Instant::now() + patience;
    let (tasks, unread) = TASKS.all();
    let trace = NEXT.fetch_add(1, Ordering::Relaxed);
    let survey = Survey { tasks, trace, unread };
    if survey.tasks.is_empty() {
        return survey;
    }
    WANTED.store(trace, Ordering::Relaxed);
    let asked: Arc<[Shared]> = survey.tasks.iter().filter(|task| task.is_waiting()).cloned().collect();
    let waker = Arc::clone(&asked);
    let spawned = own_threads::spawn("gmr tasks", move || {
        for task in waker.iter() {
            if wanted() != Some(trace) {
                return;
            }
            task.wake(trace);
        }
    });
    if spawned.is_ok() {
        let mut settled = 0;
        while Instant::now() < until {
            settled += asked[settled..].iter().take_while(|task| task.is_settled(trace)).count();
            if settled == asked.len() {
                break;
            }
            thread::sleep(PAUSE);
        }
    }
    WANTED.store(0, Ordering::Relaxed);
    *SEEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    survey
}
