//! Runs generators in isolation from the report: off the reporter's thread, each with a deadline,
//! and all within a total.
//!
//! Normally, they run one after the other on two threads: one for gmr's own sections that read
//! files, in a descriptor table of its own, and one for the program's functions, in the program's.
//! When a generator takes longer than `HEAD_START`, the next one starts on another thread. So a
//! healthy report costs the program two short-lived threads, and each stuck generator delays the
//! others by `HEAD_START`.
//!
//! If the process may have no more threads, generators run on the reporter's thread, one after the
//! other. No deadline applies there: a function of the program cannot be interrupted.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::generator::{Generator, Run};
use super::output::Output;
use super::panics::{self, Caught};
use super::stack::{self, NamedStack};
use crate::model::{Content, Overdue, TimedOut};
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::deadline::Slowdown;
use crate::sys::{self, own_threads};
use crate::{capture, symbols};

/// How long a generator runs before the next one starts in parallel. Long compared with the
/// milliseconds that a healthy one takes, and short for a person who waits for the report.
const HEAD_START: Duration = Duration::from_millis(200);

/// How long after the report's deadline a generator may still have no run whose stack could be
/// taken. Either its worker has not been scheduled yet, or the run has ended and its result is on
/// the way.
const SCHEDULING: Duration = HEAD_START;

/// How often a deadline in the past is checked again.
const RECHECKED: Duration = Duration::from_millis(20);

/// How long taking the stack of an overdue thread may take, apart from resolving its symbols. It is
/// taken within a second; on an idle machine, within milliseconds.
const GRACE: Duration = Duration::from_secs(2);

/// The least time for resolving the symbols of such a stack, even at the end of the report's time.
const MIN_SYMBOLS: Duration = Duration::from_millis(500);

/// What must be left to start a generator. An allocation that fails aborts the process.
const MIN_MEMORY: usize = 16 << 20;

/// When a run counts as slow. A healthy one takes milliseconds; a first one, which reads debug
/// information, tenths of a second.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// The result of one generator.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) output: Output,
    pub(crate) took: Duration,
}

/// What the caller learns while generators run.
pub(crate) enum Update {
    /// The outcome of the next generator, in the order given.
    Outcome(Outcome),
    /// [`SLOW`] has passed, and not all outcomes are known. Sent once.
    Slow,
}

/// Runs all generators and hands over each outcome, in the order given, as soon as it and all
/// before it are known. When `total` has passed, generators that have not started are skipped, and
/// those that have not ended are overdue.
pub(crate) fn run_all(generators: &[Arc<Generator>], total: Duration, each: impl FnMut(Update)) {
    Runner::new(generators, total, stack::of_thread).run(each);
}

/// Takes the stack of a thread, and resolves symbols for the time given. A parameter, so that tests
/// of the runner take no stacks.
type TakeStack = fn(u32, Duration) -> NamedStack;

struct Runner<'a> {
    generators: &'a [Arc<Generator>],
    started: Instant,
    /// By how much all deadlines are later.
    slowdown: Slowdown,
    /// Until when to watch whether they are.
    watched: Option<Instant>,
    /// When to send [`Update::Slow`]; `None` once it is sent.
    slow_at: Option<Instant>,
    total: Duration,
    take_stack: TakeStack,
    /// The state of each generator, in the same order.
    states: Vec<State>,
    idle: Vec<Worker>,
    events: Receiver<Event>,
    event_sender: Sender<Event>,
}

enum State {
    /// Not started.
    Waiting,
    Running {
        started: Instant,
    },
    /// Overdue; another thread is taking its stack.
    TakingStack {
        until: Instant,
        overdue: OverdueRun,
    },
    /// `None` once the outcome is handed over. Boxed, since most generators of a long report wait
    /// or run.
    Finished(Option<Box<Outcome>>),
}

/// A run that has missed its deadline.
struct OverdueRun {
    run: Run,
    /// How long this report has waited for it.
    took: Duration,
    describe: Describe,
}

/// Makes the content for an overdue generator, given the total time of the report.
type Describe = fn(&Generator, Duration, Overdue) -> Content;

enum Event {
    Done(Done),
    /// The stack of an overdue generator.
    Stack {
        index: usize,
        stack: NamedStack,
    },
}

/// What a worker sends when a generator has ended.
struct Done {
    index: usize,
    outcome: Outcome,
    /// The worker, ready for the next job. `None` if a panic has parked it forever.
    worker: Option<Worker>,
}

/// A thread that runs generators until this handle is dropped.
struct Worker {
    jobs: Sender<Job>,
    own_files: bool,
}

struct Job {
    index: usize,
    generator: Arc<Generator>,
    events: Sender<Event>,
    worker: Worker,
}

impl<'a> Runner<'a> {
    fn new(generators: &'a [Arc<Generator>], total: Duration, take_stack: TakeStack) -> Self {
        let (event_sender, events) = channel::channel();
        Self {
            generators,
            started: Instant::now(),
            slowdown: Slowdown::default(),
            watched: None,
            slow_at: Some(Instant::now() + SLOW),
            total,
            take_stack,
            states: generators.iter().map(|_| State::Waiting).collect(),
            idle: Vec::new(),
            events,
            event_sender,
        }
    }

    fn run(mut self, mut each: impl FnMut(Update)) {
        let mut handed_over = 0;
        loop {
            let goes_on = self.start_next();
            while let Some(State::Finished(outcome)) = self.states.get_mut(handed_over) {
                let outcome = outcome.take().expect("an outcome is handed over once");
                each(Update::Outcome(*outcome));
                handed_over += 1;
            }
            if handed_over == self.states.len() {
                return;
            }
            if self.slow_at.take_if(|slow_at| *slow_at <= Instant::now()).is_some() {
                // A first look, with which one that comes after a deadline can be compared.
                self.slowdown.look();
                each(Update::Slow);
            }
            if goes_on {
                continue;
            }
            match self.events.recv_timeout(self.next_event().saturating_duration_since(Instant::now())) {
                Ok(Event::Done(done)) => self.finish(done),
                Ok(Event::Stack { index, stack }) => self.finish_overdue(index, stack),
                Err(RecvTimeoutError::Timeout) => self.check_deadlines(),
                Err(RecvTimeoutError::Disconnected) => unreachable!("the runner itself holds a sender"),
            }
        }
    }

    /// Starts the next waiting generator, unless one is running that still has its head start.
    /// Returns whether another one may be started at once.
    fn start_next(&mut self) -> bool {
        let next = self.states.iter().position(|state| matches!(state, State::Waiting));
        let Some(index) = next else { return false };
        if self.latest_start().is_some_and(|started| started.elapsed() < HEAD_START) {
            return false;
        }
        self.states[index] = self.start(index);
        !matches!(self.states[index], State::Running { .. })
    }

    fn start(&mut self, index: usize) -> State {
        if Instant::now() >= self.until() {
            self.watched = self.slowdown.look();
        }
        let generator = &self.generators[index];
        if Instant::now() >= self.until() {
            let seconds = self.total.as_secs_f64();
            return skipped(format!("the report's limit of {seconds} s was reached before it started"));
        }
        if let Some(panicked) = generator.parked() {
            return finished(panicked.clone());
        }
        if !sys::memory_is_left(MIN_MEMORY) {
            return skipped("too little memory is left");
        }
        if !generator.claim() {
            return match self.start_stack(index, Duration::ZERO, still_running) {
                Some(state) => state,
                // The earlier run has ended since the first claim.
                None if generator.claim() => self.assign(index),
                None => skipped("another report is starting it"),
            };
        }
        self.assign(index)
    }

    /// Gives a claimed generator to a worker.
    fn assign(&mut self, index: usize) -> State {
        let generator = &self.generators[index];
        let idle = self.idle.iter().position(|worker| worker.own_files == generator.own_files);
        let idle = idle.map(|index| self.idle.swap_remove(index));
        let worker = match idle.map_or_else(|| Worker::spawn(generator.own_files), Ok) {
            Ok(worker) => worker,
            Err(error) if own_threads::is_limit(&error) => return self.run_here(index),
            Err(error) => {
                generator.release();
                return skipped(format!("could not start a worker thread: {error}"));
            }
        };
        let jobs = worker.jobs.clone();
        let job = Job { index, generator: Arc::clone(generator), events: self.event_sender.clone(), worker };
        if jobs.send(job).is_ok() {
            return State::Running { started: Instant::now() };
        }
        generator.release();
        skipped("its worker thread has ended")
    }

    /// Runs a claimed generator on the calling thread. The run has no deadline, so what is known of
    /// the report is announced first, as if the report were slow.
    ///
    /// For the next generator, and for the next report, gmr tries again to start a thread.
    fn run_here(&mut self, index: usize) -> State {
        let generator = &self.generators[index];
        if let Some(slow_at) = &mut self.slow_at {
            *slow_at = Instant::now();
            generator.release();
            return State::Waiting;
        }
        let started = Instant::now();
        let run = || {
            // If a panic parks this thread, nothing is left that could use its outcome.
            let run = || panics::catch(|| generator.generate(sys::current_tid()), |_| ());
            run_guarded(generator, run)
        };
        let output = if generator.own_files { sys::with_files(run) } else { run() };
        State::Finished(Some(Box::new(Outcome { output, took: started.elapsed() })))
    }

    fn finish(&mut self, done: Done) {
        self.idle.extend(done.worker);
        // A generator that has missed its deadline stays overdue.
        if let state @ State::Running { .. } = &mut self.states[done.index] {
            *state = State::Finished(Some(Box::new(done.outcome)));
        }
    }

    fn check_deadlines(&mut self) {
        let now = Instant::now();
        let is_over = |runner: &Self, index: usize| match runner.states[index] {
            State::Running { started } => now >= runner.deadline(index, started),
            _ => false,
        };
        if (0..self.states.len()).any(|index| is_over(self, index)) {
            self.watched = self.slowdown.look();
        }
        for index in 0..self.states.len() {
            match self.states[index] {
                State::Running { started } if now >= self.deadline(index, started) => {
                    // Without a run, the worker has had no CPU time yet, or the run has ended
                    // and its `Done` is on the way.
                    if let Some(state) = self.start_stack(index, started.elapsed(), timed_out) {
                        self.states[index] = state;
                    } else if now > self.until() + SCHEDULING {
                        self.states[index] = skipped("worker thread was not scheduled in time");
                    }
                }
                State::TakingStack { until, .. } if now >= until => {
                    self.finish_overdue(index, NamedStack::missing("the stack was not taken in time"));
                }
                _ => {}
            }
        }
    }

    /// Starts a thread that takes the stack of an overdue generator. `None` if its run has ended.
    ///
    /// A thread of its own, because resolving symbols reads files, which may take seconds on a
    /// busy machine: other sections do not wait for it.
    fn start_stack(&self, index: usize, took: Duration, describe: Describe) -> Option<State> {
        let run = self.generators[index].current_run()?;
        let overdue = OverdueRun { run, took, describe };
        let left = self.until().saturating_duration_since(Instant::now());
        let timeout = left.min(symbols::DEADLINE).max(MIN_SYMBOLS);
        let (take_stack, events) = (self.take_stack, self.event_sender.clone());
        let spawned = own_threads::spawn("gmr section", move || {
            capture::shield_thread(None);
            sys::separate_files();
            // This fails if the report has been finished without it.
            let _ = events.send(Event::Stack { index, stack: take_stack(run.tid, timeout) });
        });
        Some(match spawned {
            Ok(()) => State::TakingStack { until: Instant::now() + timeout + GRACE, overdue },
            Err(error) => {
                let reason = format!("could not start a thread to take the stack: {error}");
                self.overdue(index, &overdue, NamedStack::missing(reason))
            }
        })
    }

    /// Finishes an overdue generator with its stack, or with the reason why there is none.
    fn finish_overdue(&mut self, index: usize, stack: NamedStack) {
        // The stack may arrive too late.
        if let State::TakingStack { overdue, .. } = &self.states[index] {
            self.states[index] = self.overdue(index, overdue, stack);
        }
    }

    fn overdue(&self, index: usize, overdue: &OverdueRun, stack: NamedStack) -> State {
        let OverdueRun { run, took, describe } = overdue;
        let running_ms = u64::try_from(run.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let NamedStack { stack, frames } = stack;
        let overdue = Overdue { tid: run.tid, running_ms, stack };
        let content = describe(&self.generators[index], self.total, overdue);
        State::Finished(Some(Box::new(Outcome { output: Output { content, frames }, took: *took })))
    }

    /// When the report ends, for generators.
    fn until(&self) -> Instant {
        let until = self.started + self.slowdown.stretch(self.total);
        self.watched.map_or(until, |watched| until.max(watched))
    }

    /// The deadline of a generator, which was given to a worker at `assigned`. Its time counts from
    /// the moment at which the worker has begun.
    fn deadline(&self, index: usize, assigned: Instant) -> Instant {
        let generator = &self.generators[index];
        // There is no run before it has begun, and none after it has ended.
        let run = generator.current_run();
        let started = run.map_or(assigned, |run| run.started.max(assigned));
        // After a panic the function has ended, and gmr resolves the symbols of the panic's frames.
        let symbols = if run.is_some_and(|run| run.panicked) { symbols::DEADLINE } else { Duration::ZERO };
        let limit = self.slowdown.stretch(generator.timeout.saturating_add(symbols));
        // The timeout in an attribute may be too long for an `Instant`.
        let own = started.checked_add(limit).map(|own| self.watched.map_or(own, |watched| own.max(watched)));
        own.map_or(self.until(), |own| own.min(self.until()))
    }

    /// When the generator that was started last, of those that are running, was started.
    fn latest_start(&self) -> Option<Instant> {
        let started = |state: &State| match state {
            State::Running { started } => Some(*started),
            _ => None,
        };
        self.states.iter().filter_map(started).max()
    }

    /// When there is something to do even if no event arrives.
    fn next_event(&self) -> Instant {
        let deadlines = self.states.iter().enumerate().filter_map(|(index, state)| match state {
            State::Running { started } => Some(self.deadline(index, *started)),
            State::TakingStack { until, .. } => Some(*until),
            State::Waiting | State::Finished(_) => None,
        });
        let any_waiting = self.states.iter().any(|state| matches!(state, State::Waiting));
        let next_start = self.latest_start().filter(|_| any_waiting).map(|started| started + HEAD_START);
        let soonest = deadlines.chain(next_start).chain(self.slow_at).min().unwrap_or_else(|| self.until());
        // A deadline in the past is checked again until `Done` arrives, but not in a busy loop.
        let now = Instant::now();
        if soonest > now { soonest } else { now + RECHECKED }
    }
}

fn timed_out(generator: &Generator, total: Duration, overdue: Overdue) -> Content {
    let deadline_ms = u64::try_from(generator.timeout.min(total).as_millis()).unwrap_or(u64::MAX);
    Content::TimedOut(TimedOut { deadline_ms, overdue })
}

fn still_running(_: &Generator, _: Duration, overdue: Overdue) -> Content {
    Content::StillRunning(overdue)
}

fn skipped(reason: impl Into<String>) -> State {
    finished(Content::Skipped(reason.into()))
}

fn finished(output: impl Into<Output>) -> State {
    State::Finished(Some(Box::new(Outcome { output: output.into(), took: Duration::ZERO })))
}

impl Worker {
    fn spawn(own_files: bool) -> std::io::Result<Self> {
        let (jobs, inbox) = channel::channel::<Job>();
        own_threads::spawn("gmr section", move || {
            // Without a reporter, this thread inherits the signal mask of the program's thread that
            // requested the report.
            capture::shield_thread(None);
            if own_files {
                sys::separate_files();
            } else {
                // The program may have set a hook of its own.
                panics::install_hook();
                // What the program's functions start from here is the program's.
                sys::with_files(sys::ProgramAttributes::read).adopt();
            }
            let tid = sys::current_tid();
            for job in inbox.iter() {
                job.run(tid);
            }
        })?;
        Ok(Self { jobs, own_files })
    }
}

impl Job {
    fn run(self, tid: u32) {
        let Self { index, generator, events, worker } = self;
        let started = Instant::now();
        let on_abort = {
            let (generator, events) = (Arc::clone(&generator), events.clone());
            move |caught: Caught| {
                generator.mark_panicked();
                let panicked = caught.resolve();
                generator.mark_parked(panicked.clone());
                let outcome = Outcome { output: panicked.into(), took: started.elapsed() };
                let _ = events.send(Event::Done(Done { index, outcome, worker: None }));
            }
        };
        let output = run_guarded(&generator, || panics::catch(|| generator.generate(tid), on_abort));
        let outcome = Outcome { output, took: started.elapsed() };
        // If the report is finished, this fails and drops the worker's handle, which ends this
        // thread.
        let _ = events.send(Event::Done(Done { index, outcome, worker: Some(worker) }));
    }
}

/// Runs a claimed generator and releases the claim. Even if gmr itself panics, there is an outcome.
fn run_guarded(generator: &Generator, run: impl FnOnce() -> Result<Output, Caught>) -> Output {
    let output = panic::catch_unwind(AssertUnwindSafe(|| {
        run().unwrap_or_else(|caught| {
            generator.mark_panicked();
            caught.resolve().into()
        })
    }));
    generator.release();
    output.unwrap_or_else(|_| {
        Content::Error("gmr panicked while running this section; this is a bug in gmr".to_owned()).into()
    })
}

#[cfg(test)]
mod tests;
