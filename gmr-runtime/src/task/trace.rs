//! Taking a trace: every waiting task is woken, and each poll that takes part records where its
//! task waits. Nothing here names a frame or waits for a task without a deadline.
//!
//! A poll identifies most stacks by their shape: a hundred thousand tasks have a handful of
//! different stacks. It copies a stack of a new shape, and the thread that makes the report unwinds
//! the copy. Polls wait for nothing: if there is no room for a copy, the task is polled again.

use crate::sys::hash::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::branch::{Branch, Leaf};
use super::entry::{Entry, LeftOut, Shared};
use super::registered::TASKS;
use super::waker::{Take, is_capturing, may_own_nothing};
use super::waking::{self, Waking};
use crate::capture::{Address, CopyUnwinder, OwnStack, Shapes, StackCopy, Trace};
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::{self, Modules, own_threads};

/// The interval at which [`survey`] checks whether all tasks have been polled.
const PAUSE: Duration = Duration::from_micros(200);

/// How long to wait for polls of tasks that can't be woken. Their executor polls them in turn, once
/// for each frame of a game, for example.
const IN_TURN: Duration = Duration::from_millis(50);

/// How many bytes of copies may wait to be unwound. A poll that finds more does not copy its stack.
pub(super) const ROOM: usize = 4 << 20;

/// How many bytes of copies may wait while more tasks are woken.
const ROOM_TO_WAKE: usize = ROOM / 8;

/// The trace that is being taken; 0 between traces.
static WANTED: AtomicU64 = AtomicU64::new(0);

/// The number of the next trace.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The same trace, for the polls that take part.
static CURRENT: RwLock<Option<Arc<Collector>>> = RwLock::new(None);

/// Whether traces poll tasks.
static POLLS: AtomicBool = AtomicBool::new(true);

/// Switches the polls of traces on or off, for all tasks.
pub(crate) fn poll_tasks(on: bool) {
    POLLS.store(on, Ordering::Relaxed);
}

/// The trace in which every poll should take part, if one is being taken. One relaxed load.
#[inline]
pub(super) fn current() -> Option<Arc<Collector>> {
    if WANTED.load(Ordering::Relaxed) == 0 { None } else { collector() }
}

#[cold]
fn collector() -> Option<Arc<Collector>> {
    // It is locked for writing while a trace begins or ends: this poll takes no part in it.
    CURRENT.try_read().ok()?.clone()
}

/// Whether a poll with this waker may get another one in its place. Embassy's timers panic if they
/// are polled with a waker that is not embassy's.
pub(super) fn may_replace(waker: &Waker) -> bool {
    // Embassy's tasks are static: its wakers own nothing.
    !sys::has_embassy() || is_capturing(waker) || !may_own_nothing(waker)
}

/// What the polls of one trace have in common.
pub(super) struct Collector {
    trace: u64,
    /// The stacks that have been unwound.
    known: Shapes<Branch>,
    /// Copies that have not been unwound yet, and their leaves.
    copies: Sender<(StackCopy, Branch)>,
    /// How many bytes of copies have not been unwound yet.
    held: AtomicUsize,
    room: usize,
    /// Whether there was no room for a copy.
    missed: AtomicBool,
    /// The leaves without a stack, one for each reason.
    missing: Mutex<Vec<(&'static str, Branch)>>,
    /// How many wakers have panicked, and the message of the first.
    panicked: Mutex<Option<Panicked>>,
}

/// Panics of wakers.
#[derive(Debug, Clone)]
pub(crate) struct Panicked {
    pub(crate) count: usize,
    pub(crate) first: String,
}

impl Collector {
    pub(super) fn new(trace: u64, room: usize) -> (Self, Receiver<(StackCopy, Branch)>) {
        let (copies, received) = channel::channel();
        let collector = Self {
            trace,
            known: Shapes::new(),
            copies,
            held: AtomicUsize::new(0),
            room,
            missed: AtomicBool::new(false),
            missing: Mutex::default(),
            panicked: Mutex::default(),
        };
        (collector, received)
    }

    /// The number of the trace.
    pub(super) fn trace(&self) -> u64 {
        self.trace
    }

    /// Notes that a task has to be polled again.
    pub(super) fn note_missed(&self) {
        self.missed.store(true, Ordering::Relaxed);
    }

    /// Notes that a waker has panicked, with this message.
    fn note_panic(&self, message: String) {
        let mut panicked = self.panicked.lock().unwrap_or_else(PoisonError::into_inner);
        panicked.get_or_insert(Panicked { count: 0, first: message }).count += 1;
    }

    fn without_stack(&self, reason: &'static str) -> Branch {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, leaf)) = missing.iter().find(|(of, _)| *of == reason) {
            return Arc::clone(leaf);
        }
        let trace = Trace { incomplete: Some(reason.to_owned()), ..Trace::default() };
        let leaf = Arc::new(Leaf::known(trace));
        missing.push((reason, Arc::clone(&leaf)));
        leaf
    }
}

impl Take for Collector {
    fn take(&self, stack: Result<OwnStack<'_>, &'static str>) -> Option<Branch> {
        let stack = match stack {
            Ok(stack) => stack,
            Err(reason) => return Some(self.without_stack(reason)),
        };
        if let Some(known) = self.known.find(&stack) {
            return Some(Arc::clone(known));
        }
        if self.held.fetch_add(stack.len(), Ordering::Relaxed) >= self.room {
            self.held.fetch_sub(stack.len(), Ordering::Relaxed);
            return None;
        }
        let leaf = Branch::default();
        // This fails after the end of the trace: the leaf has no stack then.
        let _ = self.copies.send((stack.copy(), Arc::clone(&leaf)));
        Some(leaf)
    }
}

/// What unwinding a copy led to, with the waker's clone: the frames, and why they are incomplete.
type Unwound = (Arc<[Address]>, Option<String>);

/// Unwinds the copies of one trace.
pub(super) struct Unwinding {
    unwinder: CopyUnwinder,
    /// The distinct stacks, without the waker's clone.
    seen: HashMap<Unwound, Arc<Trace>>,
}

impl Unwinding {
    pub(super) fn new(modules: &Modules) -> Self {
        Self { unwinder: CopyUnwinder::new(modules), seen: HashMap::default() }
    }

    pub(super) fn unwind(&mut self, collector: &Collector, copy: &StackCopy, leaf: &Branch) {
        collector.held.fetch_sub(copy.len(), Ordering::Relaxed);
        if let Some(known) = collector.known.find(copy).and_then(|known| known.trace()) {
            leaf.set(known);
            return;
        }
        let unwound = self.unwinder.unwind(copy);
        let whole = unwound.incomplete.is_none();
        let frames = Arc::clone(&unwound.frames);
        let trace = self.seen.entry((unwound.frames, unwound.incomplete)).or_insert_with_key(
            |(frames, incomplete)| {
                // The innermost is the waker's clone.
                let frames = frames.iter().copied().skip(1).collect();
                Arc::new(Trace { frames, incomplete: incomplete.clone(), ..Trace::default() })
            },
        );
        leaf.set(trace);
        if whole {
            collector.known.add(copy, &frames, Arc::clone(leaf));
        }
    }
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
    /// The modules that the stacks were unwound with.
    pub(crate) modules: Modules,
    /// What wakers have panicked when this trace called them, if any.
    pub(crate) panicked: Option<Panicked>,
}

/// Whether there is a task, as far as is known without waiting.
pub(crate) fn has_tasks() -> bool {
    TASKS.has_any()
}

/// Takes a trace: wakes every waiting task and waits until all of them have been polled, at most
/// for `timeout`.
pub(crate) fn survey(timeout: Duration) -> Survey {
    survey_with_room(timeout, ROOM)
}

pub(super) fn survey_with_room(timeout: Duration, room: usize) -> Survey {
    let started = Instant::now();
    let deadline = started + timeout;
    let (tasks, unread) = TASKS.all();
    // First: until the first copy can be unwound, every poll makes one. Miri has no stack to
    // unwind.
    let has_stacks = !tasks.is_empty() && !cfg!(miri);
    let (modules, is_filtered) = if has_stacks {
        sys::with_files(|| (Modules::load(), sys::program_has_filters_of_its_own()))
    } else {
        (Modules::default(), false)
    };
    let trace = NEXT.fetch_add(1, Ordering::Relaxed);
    let (collector, copies) = Collector::new(trace, room);
    let collector = Arc::new(collector);
    let blocking = waking::blocking();
    let mut waiting = Vec::new();
    for task in tasks.iter().filter(|task| task.is_waiting()) {
        match why_not(task, &blocking).or(is_filtered.then_some(LeftOut::Filtered)) {
            Some(why) => task.leave_out(trace, why),
            None => waiting.push(Arc::clone(task)),
        }
    }
    let waiting: Arc<[Shared]> = waiting.into();
    if waiting.is_empty() {
        return Survey { tasks, trace, unread, modules, panicked: None };
    }
    let mut unwinding = Unwinding::new(&modules);
    set_current(Some(Arc::clone(&collector)));
    if let Err(why) = wake_all(Arc::clone(&waiting), Arc::clone(&collector)) {
        waiting.iter().for_each(|task| task.leave_out(trace, why));
    } else {
        let mut settled = 0;
        let has_had_its_turn = |task: &Entry| task.ignores_wakes() && started.elapsed() > IN_TURN;
        while Instant::now() < deadline {
            match copies.recv_timeout(PAUSE) {
                Ok((copy, leaf)) => unwinding.unwind(&collector, &copy, &leaf),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let is_over = |task: &&Shared| task.is_settled(trace) || has_had_its_turn(task);
                    settled += waiting[settled..].iter().take_while(is_over).count();
                    if settled == waiting.len() {
                        break;
                    }
                }
            }
        }
    }
    set_current(None);
    for task in waiting.iter().filter(|task| task.ignores_wakes() && !task.has_claimed(trace)) {
        task.leave_out(trace, LeftOut::IgnoresWakes);
    }
    // What polls have copied until now; there is no more than there was room for.
    for (copy, leaf) in copies.try_iter() {
        unwinding.unwind(&collector, &copy, &leaf);
    }
    let panicked = collector.panicked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Survey { tasks, trace, unread, modules, panicked }
}

/// Notes in the tasks around this one that waking it causes polls of theirs, which are not their
/// own.
fn expect_polls_around(task: &Entry, trace: u64) {
    /// The most tasks that one is inside of. More than that is a mistake: futures have moved.
    const DEPTH: usize = 64;
    let mut outer = task.outer();
    for _ in 0..DEPTH {
        let Some(around) = outer.and_then(|place| TASKS.find(place)) else { return };
        if task.has_claimed(trace) {
            return;
        }
        around.expect_poll();
        outer = around.outer();
    }
}

/// Why the trace does not poll a task that waits, if it does not. `blocking` has the tables of the
/// wakers that block.
fn why_not(task: &Entry, blocking: &[usize]) -> Option<LeftOut> {
    if !POLLS.load(Ordering::Relaxed) {
        return Some(LeftOut::AllOptedOut);
    }
    if task.has_opted_out() {
        return Some(LeftOut::TaskOptedOut);
    }
    if task.is_lent() {
        return Some(LeftOut::ForeignWaker);
    }
    match task.kind_of_waker() {
        None => Some(LeftOut::NoWaker),
        Some(kind) if blocking.contains(&kind.table) => Some(LeftOut::WakerBlocks),
        // As for `may_replace`.
        Some(kind) => (sys::has_embassy() && kind.may_own_nothing).then_some(LeftOut::ForeignWaker),
    }
}

/// Begins a trace, or ends it.
fn set_current(collector: Option<Arc<Collector>>) {
    let trace = collector.as_ref().map_or(0, |collector| collector.trace);
    let mut current = CURRENT.write().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::replace(&mut *current, collector);
    WANTED.store(trace, Ordering::Relaxed);
    drop(current);
    drop(before);
}

/// Starts a thread that wakes all these tasks, and until the end of the trace those again that have
/// to be polled again.
///
/// Waking a task runs the runtime's code, which may be stuck itself, so the report does not join
/// the thread.
fn wake_all(tasks: Arc<[Shared]>, collector: Arc<Collector>) -> Result<(), LeftOut> {
    let waking = Waking::begin().ok_or(LeftOut::WakerBlocks)?;
    let started = own_threads::spawn("gmr tasks", move || {
        let trace = collector.trace;
        let is_over = || WANTED.load(Ordering::Relaxed) != trace;
        for task in tasks.iter().filter(|task| !task.ignores_wakes()) {
            while collector.held.load(Ordering::Relaxed) > ROOM_TO_WAKE && !is_over() {
                sys::sleep(PAUSE);
            }
            if is_over() {
                return;
            }
            expect_polls_around(task, trace);
            if let Err(message) = task.wake(trace, &waking) {
                collector.note_panic(message);
            }
        }
        while !is_over() {
            sys::sleep(PAUSE);
            if collector.missed.swap(false, Ordering::Relaxed) {
                let mut left = false;
                for task in tasks.iter().filter(|task| task.missed(trace) && !task.ignores_wakes()) {
                    expect_polls_around(task, trace);
                    match task.wake_again(trace, &waking) {
                        Ok(waits) => left |= !waits,
                        Err(message) => collector.note_panic(message),
                    }
                }
                if left {
                    collector.note_missed();
                }
            }
        }
    });
    started.map_err(|_| LeftOut::NoThread)
}
