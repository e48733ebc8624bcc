//! Running generators so that none can harm the report: off the reporter's thread, each with a deadline, all with one.
//!
//! They run one after the other on one thread while all goes well. A generator that takes longer than `PATIENCE` no longer holds up the next, which is
//! started beside it on another thread; so a healthy report disturbs the program with one short-lived thread, and any number of stuck generators delays the
//! others by `PATIENCE` each.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::generator::{Generator, Run};
use super::output::Output;
use super::panics::{self, Seen};
use super::stack::{self, NamedStack};
use crate::model::{Content, Overdue, TimedOut};
use crate::sys::{self, own_threads};
use crate::{capture, symbols};

/// How long a generator may keep the next one waiting: long beside the milliseconds that a healthy one needs, short beside a person's patience.
const PATIENCE: Duration = Duration::from_millis(200);

/// What one generator came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) output: Output,
    pub(crate) took: Duration,
}

/// How long to wait for the stack of a thread that does not come back, beyond what its names may take: it is taken within a second, on a machine that is not crowded within milliseconds.
const GRACE: Duration = Duration::from_secs(2);

/// The least that the names of such a stack are waited for, however late it is.
const NAMES: Duration = Duration::from_millis(500);

/// Where to look at a thread that does not come back, and how long its names may take. A parameter so that the runner can be tested without taking stacks.
type Look = fn(u32, Duration) -> NamedStack;

/// What becomes known while generators run.
pub(crate) enum Update {
    /// The outcome of the next generator, in the order given.
    Outcome(Outcome),
    /// [`SLOW`] has passed, and not all outcomes are known.
    Slow,
}

/// When to say that a run is slow. A healthy one takes milliseconds; a first one, which reads debug
/// information, tenths of a second.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// Runs all of them and hands over each outcome, in the order given, as soon as it and all before it
/// are known. When `total` has passed, what has not been started is skipped, and what has not ended
/// is overdue.
pub(crate) fn run_all(generators: &[Arc<Generator>], total: Duration, each: impl FnMut(Update)) {
    Runner::new(generators, total, stack::of_thread).run(each);
}

struct Runner<'a> {
    generators: &'a [Arc<Generator>],
    until: Instant,
    /// When to say that it is slow; none once that has been said.
    slow_at: Option<Instant>,
    total: Duration,
    look: Look,
    /// Every generator's place in the report.
    places: Vec<Place>,
    idle: Vec<Worker>,
    events: Receiver<Event>,
    event_sender: Sender<Event>,
}

enum Place {
    Waiting,
    Running {
        started: Instant,
    },
    /// It missed its deadline, and somebody has gone to see where it is.
    LookedAt {
        until: Instant,
        missed: Missed,
    },
    /// Boxed, since most places of a long report wait or run.
    Known(Option<Box<Outcome>>),
}

/// A generator that does not come back.
struct Missed {
    run: Run,
    /// What this report has spent on it.
    took: Duration,
    tell: Tell,
}

/// What to say of it, given all that the report may take.
type Tell = fn(&Generator, Duration, Overdue) -> Content;

enum Event {
    Done(Done),
    /// Where the generator at this place is.
    Seen {
        index: usize,
        stack: NamedStack,
    },
}

/// What a worker sends when a generator has ended.
struct Done {
    index: usize,
    outcome: Outcome,
    /// The worker, ready for more; none where the panic of its generator has put it to sleep for ever.
    worker: Option<Worker>,
}

/// A thread that runs generators until nobody holds this.
struct Worker {
    jobs: Sender<Job>,
}

struct Job {
    index: usize,
    generator: Arc<Generator>,
    events: Sender<Event>,
    worker: Worker,
}

impl<'a> Runner<'a> {
    fn new(generators: &'a [Arc<Generator>], total: Duration, look: Look) -> Self {
        let (event_sender, events) = mpsc::channel();
        Self {
            generators,
            until: Instant::now() + total,
            slow_at: Some(Instant::now() + SLOW),
            total,
            look,
            places: generators.iter().map(|_| Place::Waiting).collect(),
            idle: Vec::new(),
            events,
            event_sender,
        }
    }

    fn run(mut self, mut each: impl FnMut(Update)) {
        let mut shown = 0;
        loop {
            self.start_next();
            while let Some(Place::Known(outcome)) = self.places.get_mut(shown) {
                let outcome = outcome.take().expect("an outcome is shown once");
                each(Update::Outcome(*outcome));
                shown += 1;
            }
            if shown == self.places.len() {
                return;
            }
            if self.slow_at.take_if(|slow_at| *slow_at <= Instant::now()).is_some() {
                each(Update::Slow);
            }
            match self.events.recv_timeout(self.next_event().saturating_duration_since(Instant::now())) {
                Ok(Event::Done(done)) => self.take(done),
                Ok(Event::Seen { index, stack }) => self.tell(index, stack),
                Err(RecvTimeoutError::Timeout) => self.check_deadlines(),
                Err(RecvTimeoutError::Disconnected) => unreachable!("the runner itself holds a sender"),
            }
        }
    }

    /// Starts waiting generators until one runs that still deserves patience.
    fn start_next(&mut self) {
        while let Some(index) = self.places.iter().position(|place| matches!(place, Place::Waiting)) {
            if self.youngest_start().is_some_and(|started| started.elapsed() < PATIENCE) {
                return;
            }
            self.places[index] = self.start(index);
        }
    }

    fn start(&mut self, index: usize) -> Place {
        let generator = &self.generators[index];
        if Instant::now() >= self.until {
            let seconds = self.total.as_secs_f64();
            return known(Content::Skipped(format!("the report's {seconds} s were spent before its turn")));
        }
        if let Some(panicked) = generator.asleep() {
            return known(panicked.clone());
        }
        if !generator.claim() {
            return match self.look_at(index, Duration::ZERO, |_, _, overdue| Content::StillRunning(overdue)) {
                Some(place) => place,
                // It ended between the two questions: its turn has come after all.
                None if generator.claim() => self.assign(index),
                None => known(Content::Skipped("it is being started for another report".into())),
            };
        }
        self.assign(index)
    }

    /// Gives a claimed generator to a worker.
    fn assign(&mut self, index: usize) -> Place {
        let generator = &self.generators[index];
        let worker = match self.idle.pop().map_or_else(Worker::spawn, Ok) {
            Ok(worker) => worker,
            Err(error) => {
                generator.release();
                return known(Content::Skipped(format!("no thread to run it on: {error}")));
            }
        };
        let jobs = worker.jobs.clone();
        let job = Job { index, generator: Arc::clone(generator), events: self.event_sender.clone(), worker };
        if jobs.send(job).is_ok() {
            return Place::Running { started: Instant::now() };
        }
        generator.release();
        known(Content::Skipped("the thread to run it on has died".into()))
    }

    fn take(&mut self, done: Done) {
        self.idle.extend(done.worker);
        // One that was given up at its deadline has been shown already.
        if let place @ Place::Running { .. } = &mut self.places[done.index] {
            *place = Place::Known(Some(Box::new(done.outcome)));
        }
    }

    fn check_deadlines(&mut self) {
        let now = Instant::now();
        for index in 0..self.places.len() {
            match self.places[index] {
                Place::Running { started } if now >= self.deadline(index, started) => {
                    // Where it has ended, `Done` is on its way, and comes before the grace is over.
                    if let Some(place) = self.look_at(index, started.elapsed(), timed_out) {
                        self.places[index] = place;
                    } else if now > self.deadline(index, started) + PATIENCE {
                        self.places[index] =
                            known(Content::Skipped("its thread was given no processor in time".into()));
                    }
                }
                Place::LookedAt { until, .. } if now >= until => {
                    self.tell(index, NamedStack::missing("gmr did not get to see it in time"));
                }
                _ => {}
            }
        }
    }

    /// Has somebody see where a generator is; none if it has ended. Names are read from files, and may take seconds on a crowded machine: other sections do not wait for them.
    fn look_at(&self, index: usize, took: Duration, tell: Tell) -> Option<Place> {
        let run = self.generators[index].current_run()?;
        let missed = Missed { run, took, tell };
        let left = self.until.saturating_duration_since(Instant::now());
        let patience = left.min(symbols::DEADLINE).max(NAMES);
        let (look, events) = (self.look, self.event_sender.clone());
        let went = own_threads::spawn("gmr section", move || {
            capture::shield_thread(None);
            // Nobody listens any more once the report is done.
            let _ = events.send(Event::Seen { index, stack: look(run.tid, patience) });
        });
        Some(match went {
            Ok(()) => Place::LookedAt { until: Instant::now() + patience + GRACE, missed },
            Err(error) => self.told(
                index,
                &missed,
                NamedStack::missing(format!("no thread to look at it from: {error}")),
            ),
        })
    }

    /// The generator at this place has been looked at, or could not be.
    fn tell(&mut self, index: usize, stack: NamedStack) {
        // It may have been seen too late.
        if let Place::LookedAt { missed, .. } = &self.places[index] {
            self.places[index] = self.told(index, missed, stack);
        }
    }

    fn told(&self, index: usize, missed: &Missed, named: NamedStack) -> Place {
        let Missed { run, took, tell } = missed;
        let running_ms = u64::try_from(run.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let NamedStack { stack, frames } = named;
        let overdue = Overdue { tid: run.tid, running_ms, stack };
        let content = tell(&self.generators[index], self.total, overdue);
        Place::Known(Some(Box::new(Outcome { output: Output { content, frames }, took: *took })))
    }

    fn deadline(&self, index: usize, started: Instant) -> Instant {
        let generator = &self.generators[index];
        // Names for the account of a panic are waited for as for any others: the author's part is over.
        let panicked = generator.current_run().is_some_and(|run| run.panicked);
        let names = if panicked { symbols::DEADLINE } else { Duration::ZERO };
        // An author may give a timeout that no clock can hold.
        let own = started.checked_add(generator.timeout.saturating_add(names));
        own.map_or(self.until, |own| own.min(self.until))
    }

    fn youngest_start(&self) -> Option<Instant> {
        let started = |place: &Place| match place {
            Place::Running { started } => Some(*started),
            _ => None,
        };
        self.places.iter().filter_map(started).max()
    }

    /// When there will be something to do even if no generator ends.
    fn next_event(&self) -> Instant {
        let deadlines = self.places.iter().enumerate().filter_map(|(index, place)| match place {
            Place::Running { started } => Some(self.deadline(index, *started)),
            Place::LookedAt { until, .. } => Some(*until),
            Place::Waiting | Place::Known(_) => None,
        });
        let waiting = self.places.iter().any(|place| matches!(place, Place::Waiting));
        let patience = self.youngest_start().filter(|_| waiting).map(|started| started + PATIENCE);
        let soonest = deadlines.chain(patience).chain(self.slow_at).min().unwrap_or(self.until);
        // One whose deadline has passed and whose end is on its way is asked about again, but not without a pause.
        soonest.max(Instant::now() + Duration::from_millis(1))
    }
}

fn timed_out(generator: &Generator, total: Duration, overdue: Overdue) -> Content {
    let deadline_ms = u64::try_from(generator.timeout.min(total).as_millis()).unwrap_or(u64::MAX);
    Content::TimedOut(TimedOut { deadline_ms, overdue })
}

fn known(output: impl Into<Output>) -> Place {
    Place::Known(Some(Box::new(Outcome { output: output.into(), took: Duration::ZERO })))
}

impl Worker {
    fn spawn() -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        own_threads::spawn("gmr section", move || {
            // Without a reporter, the thread that asked for the report is the program's, and so is its mask.
            capture::shield_thread(None);
            let tid = sys::current_tid();
            for job in inbox {
                job.run(tid);
            }
        })?;
        Ok(Self { jobs })
    }
}

impl Job {
    fn run(self, tid: u32) {
        let Self { index, generator, events, worker } = self;
        let started = Instant::now();
        let on_abort = {
            let (generator, events) = (Arc::clone(&generator), events.clone());
            move |seen: Seen| {
                generator.has_panicked();
                let panicked = seen.account();
                generator.fall_asleep(panicked.clone());
                let outcome = Outcome { output: panicked, took: started.elapsed() };
                let _ = events.send(Event::Done(Done { index, outcome, worker: None }));
            }
        };
        let output = panic::catch_unwind(AssertUnwindSafe(|| {
            panics::catch(|| generator.make(tid), on_abort).unwrap_or_else(|seen| {
                generator.has_panicked();
                seen.account()
            })
        }));
        // Whatever happens, the generator is given back, and the report does not wait for it.
        let output =
            output.unwrap_or_else(|_| Content::Error("gmr itself panicked over it".to_owned()).into());
        generator.release();
        let outcome = Outcome { output, took: started.elapsed() };
        // Nobody listens any more once the report is done: then this thread ends with its last handle.
        let _ = events.send(Event::Done(Done { index, outcome, worker: Some(worker) }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const TOTAL: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(50);

    fn generator(title: &str, make: impl Fn() -> Content + Send + Sync + 'static) -> Arc<Generator> {
        Arc::new(Generator::new(title, make).with_timeout(SHORT))
    }

    fn text(title: &str) -> Arc<Generator> {
        let content = Content::Text(title.to_owned());
        generator(title, move || content.clone())
    }

    fn run(generators: &[Arc<Generator>], total: Duration) -> Vec<Content> {
        let mut contents = Vec::new();
        Runner::new(generators, total, |_, _| NamedStack::missing("not looked at"))
            .run(|update| contents.extend(outcome(update)));
        contents
    }

    fn outcome(update: Update) -> Option<Content> {
        match update {
            Update::Outcome(outcome) => Some(outcome.output.content),
            Update::Slow => None,
        }
    }

    /// A generator that waits until its gate is opened, and counts how often it was started.
    fn gated() -> (Arc<Generator>, Sender<()>, Arc<AtomicUsize>) {
        let (open, gate) = mpsc::channel();
        let gate = std::sync::Mutex::new(gate);
        let starts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&starts);
        let generator = generator("Gated", move || {
            counter.fetch_add(1, Ordering::Relaxed);
            let _ = gate.lock().unwrap().recv();
            Content::Text("open".into())
        });
        (generator, open, starts)
    }

    #[test]
    fn all_are_run_and_shown_in_order() {
        let generators: Vec<_> = ["a", "b", "c"].map(text).into();
        let contents = run(&generators, TOTAL);
        assert_eq!(contents, ["a", "b", "c"].map(|title| Content::Text(title.into())));
    }

    #[test]
    fn a_panic_costs_nobody_else_anything() {
        panics::install_hook();
        let generators = [text("a"), generator("b", || panic!("broken")), text("c")];
        let contents = run(&generators, TOTAL);
        assert_eq!(contents[0], Content::Text("a".into()));
        let Content::Panicked(panicked) = &contents[1] else { panic!("{contents:?}") };
        assert_eq!(panicked.message, "broken");
        assert_eq!(contents[2], Content::Text("c".into()));
        // And it is run again the next time.
        assert!(matches!(run(&generators, TOTAL)[1], Content::Panicked(_)));
    }

    #[test]
    fn one_that_is_stuck_is_shown_as_such_and_not_started_again() {
        let (stuck, open, starts) = gated();
        let generators = [text("a"), stuck, text("c")];
        let contents = run(&generators, TOTAL);
        assert_eq!(contents[0], Content::Text("a".into()));
        assert!(matches!(&contents[1], Content::TimedOut(late) if late.deadline_ms == 50), "{contents:?}");
        assert_eq!(contents[2], Content::Text("c".into()));

        let contents = run(&generators, TOTAL);
        assert!(matches!(contents[1], Content::StillRunning(_)), "{contents:?}");
        assert_eq!(contents[2], Content::Text("c".into()));
        assert_eq!(starts.load(Ordering::Relaxed), 1);

        open.send(()).unwrap();
        while generators[1].current_run().is_some() {
            thread::yield_now();
        }
        open.send(()).unwrap();
        assert_eq!(run(&generators, TOTAL)[1], Content::Text("open".into()));
        assert_eq!(starts.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn others_run_while_one_that_is_stuck_is_looked_at() {
        static RAN: AtomicBool = AtomicBool::new(false);
        let (stuck, _open, _) = gated();
        let other = generator("other", || {
            RAN.store(true, Ordering::Relaxed);
            Content::Text("ran".into())
        });
        let look: Look = |_, _| {
            while !RAN.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            NamedStack::missing("seen after the other ran")
        };
        let mut contents = Vec::new();
        Runner::new(&[stuck, other], TOTAL, look).run(|update| contents.extend(outcome(update)));
        let Content::TimedOut(late) = &contents[0] else { panic!("{contents:?}") };
        assert_eq!(late.overdue.stack, NamedStack::missing("seen after the other ran").stack);
        assert_eq!(contents[1], Content::Text("ran".into()));
    }

    #[test]
    fn a_slow_run_says_so_once_and_before_it_ends() {
        let (stuck, _open, _) = gated();
        let stuck = Arc::new(Arc::into_inner(stuck).unwrap().with_timeout(SLOW * 2));
        let mut updates = Vec::new();
        Runner::new(&[text("a"), stuck], TOTAL, |_, _| NamedStack::missing("not looked at"))
            .run(|update| updates.push(outcome(update).is_some()));
        assert_eq!(updates, [true, false, true]);
        let mut updates = Vec::new();
        Runner::new(&[text("a"), text("b")], TOTAL, |_, _| NamedStack::missing("not looked at"))
            .run(|update| updates.push(outcome(update).is_some()));
        assert!(updates.iter().filter(|known| **known).count() == 2, "{updates:?}");
    }

    #[test]
    fn the_total_is_kept_and_the_rest_skipped() {
        let (stuck, _open, _) = gated();
        let stuck = Arc::new(Arc::into_inner(stuck).unwrap().with_timeout(TOTAL));
        let contents = run(&[stuck, text("b")], SHORT);
        assert!(matches!(&contents[0], Content::TimedOut(late) if late.deadline_ms == 50), "{contents:?}");
        assert!(
            matches!(&contents[1], Content::Skipped(reason) if reason.contains("0.05 s")),
            "{contents:?}"
        );
    }
}
