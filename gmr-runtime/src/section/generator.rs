//! A generator: the function that makes the content of one section or one group, with its title,
//! its deadline, and the run that is in progress. It starts no thread and enforces no deadline.
//!
//! Built-in sections, registered functions and closures added at run time all become generators and
//! run alike.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::output::Output;
use super::panics::ResolvedPanic;
use super::registry::{DEFAULT_TIMEOUT, SectionEntry};

/// Makes the content of one section.
pub(crate) struct Generator {
    pub(crate) title: String,
    /// Lower comes first.
    pub(crate) order: i32,
    pub(crate) timeout: Duration,
    /// Whether it runs on a thread with a descriptor table of its own: true of gmr's own sections
    /// that read files and run no code of the program.
    pub(super) own_files: bool,
    generate: Box<dyn Fn() -> Output + Send + Sync>,
    claimed: AtomicBool,
    run: Mutex<Option<Run>>,
    /// The report of its panic, if that panic has parked its thread forever.
    parked: OnceLock<ResolvedPanic>,
}

/// A run that is in progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) tid: u32,
    pub(crate) started: Instant,
    /// The function has panicked, and gmr is resolving the symbols of the panic's frames.
    pub(crate) panicked: bool,
}

impl Generator {
    pub(crate) fn new<T: Into<Output>>(
        title: impl Into<String>,
        generate: impl Fn() -> T + Send + Sync + 'static,
    ) -> Self {
        Self {
            title: title.into(),
            order: 0,
            timeout: DEFAULT_TIMEOUT,
            own_files: false,
            generate: Box::new(move || generate().into()),
            claimed: AtomicBool::new(false),
            run: Mutex::new(None),
            parked: OnceLock::new(),
        }
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it on a thread with a descriptor table of its own.
    pub(crate) fn with_own_files(mut self) -> Self {
        self.own_files = true;
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

    /// Claims the generator for one run. False while an earlier run is in progress.
    pub(super) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// Releases the claim after a run that has ended or could not be started.
    pub(super) fn release(&self) {
        self.set_run(None);
        self.claimed.store(false, Ordering::Release);
    }

    /// Releases the claim of a run in the process from which this one was forked. If a panic has
    /// parked the thread of that run, the locks that it held are locked in this process, too, and
    /// the claim is kept.
    pub(crate) fn forget_run(&self) {
        if self.parked.get().is_none() {
            self.release();
        }
    }

    /// Records that a panic has parked the run's thread forever. The claim is kept: another run
    /// would park another thread, with whatever locks it holds.
    pub(super) fn mark_parked(&self, panicked: ResolvedPanic) {
        // The claim is kept, so this happens once.
        let _ = self.parked.set(panicked);
        self.set_run(None);
    }

    /// The report of its panic, if that panic has parked its thread forever.
    pub(super) fn parked(&self) -> Option<&ResolvedPanic> {
        self.parked.get()
    }

    /// Makes the content on the calling thread, whose id is `tid`. If it takes too long, the report
    /// shows the stack of that thread.
    pub(super) fn generate(&self, tid: u32) -> Output {
        self.set_run(Some(Run { tid, started: Instant::now(), panicked: false }));
        (self.generate)()
    }

    /// Records that the function has ended in a panic.
    pub(super) fn mark_panicked(&self) {
        self.set_run(self.current_run().map(|run| Run { panicked: true, ..run }));
    }

    /// The run in progress. `None` between [`claim`](Self::claim) and the start of the function.
    pub(super) fn current_run(&self) -> Option<Run> {
        *self.run.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set_run(&self, run: Option<Run>) {
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
