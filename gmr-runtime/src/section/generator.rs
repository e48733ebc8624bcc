//! A generator: what makes the content of one section or one group, with its title, its deadline, and whether it still runs.
//!
//! Built-in sections, registered functions and closures added at run time all become this, and are run alike.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::output::Output;
use super::registry::{DEFAULT_TIMEOUT, SectionEntry};

/// Makes the content of one section.
pub(crate) struct Generator {
    pub(crate) title: String,
    /// Lower comes first.
    pub(crate) order: i32,
    pub(crate) timeout: Duration,
    make: Box<dyn Fn() -> Output + Send + Sync>,
    busy: AtomicBool,
    run: Mutex<Option<Run>>,
    /// How it panicked, where that has put its thread to sleep for ever.
    asleep: OnceLock<Output>,
}

/// A run that has not ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) tid: u32,
    pub(crate) started: Instant,
    /// It has ended in a panic, whose frames are being given their names.
    pub(crate) panicked: bool,
}

impl Generator {
    pub(crate) fn new<T: Into<Output>>(
        title: impl Into<String>,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        Self {
            title: title.into(),
            order: 0,
            timeout: DEFAULT_TIMEOUT,
            make: Box::new(move || make().into()),
            busy: AtomicBool::new(false),
            run: Mutex::new(None),
            asleep: OnceLock::new(),
        }
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn with_order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }

    /// The generator of a registered function.
    pub(crate) fn registered(entry: &SectionEntry) -> Self {
        let generate = entry.generate;
        Self::new(entry.shown_title(), generate)
            .with_order(entry.order)
            .with_timeout(entry.timeout.unwrap_or(DEFAULT_TIMEOUT))
    }

    /// Claims the generator for one run. False while an earlier run has not ended.
    pub(super) fn claim(&self) -> bool {
        !self.busy.swap(true, Ordering::AcqRel)
    }

    /// Ends the claim of a run that has ended, or that could not be started.
    pub(super) fn release(&self) {
        self.note(None);
        self.busy.store(false, Ordering::Release);
    }

    /// Ends a run that will never come back from its panic. Its claim stays: another run would put another thread to sleep, with whatever locks it holds.
    pub(super) fn fall_asleep(&self, panicked: Output) {
        // There is one run, and it falls asleep once.
        let _ = self.asleep.set(panicked);
        self.note(None);
    }

    /// How it panicked, if that has put it to sleep for ever.
    pub(super) fn asleep(&self) -> Option<&Output> {
        self.asleep.get()
    }

    /// Makes the content, on the calling thread, which is the one to ask about if it does not come back.
    pub(super) fn make(&self, tid: u32) -> Output {
        self.note(Some(Run { tid, started: Instant::now(), panicked: false }));
        (self.make)()
    }

    /// Notes that the author's part of the run has ended, in a panic.
    pub(super) fn has_panicked(&self) {
        self.note(self.current_run().map(|run| Run { panicked: true, ..run }));
    }

    /// The run that has not ended, once it has begun.
    pub(super) fn current_run(&self) -> Option<Run> {
        *self.run.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn note(&self, run: Option<Run>) {
        *self.run.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = run;
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("title", &self.title)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
