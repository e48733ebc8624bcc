//! Writes reports for signals to standard error, on a separate thread for each report, so that
//! neither the reporter nor a caller of `Report::capture` waits for whoever reads them.
//!
//! The thread has its own descriptor table. So the whole report goes to the file that descriptor 2
//! was when the output began. One report is written at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sinks::Stderr;
use crate::sys::channel::{self, Sender};
use crate::sys::{Claim, Purpose, own_threads};
use crate::trigger::Outbox;
use crate::trigger::reply::Reply;
use crate::{capture, sys};

/// How long another copy of gmr in this process may be writing a report: as long as this one may.
const OTHERS_WITHIN: Duration = Duration::from_secs(60);

/// The claim on standard error.
fn claim() -> Option<Claim> {
    sys::claim(Purpose::Output, OTHERS_WITHIN, || ())
}

/// Writes one report after the other.
pub(super) struct Output {
    shared: Arc<Shared>,
    /// Leads to the thread that writes the report, if there is one.
    pieces: Option<Sender<Vec<u8>>>,
}

struct Shared {
    /// Locked for as long as a report is being written.
    sink: Mutex<Stderr>,
    is_writing: AtomicBool,
    /// Those who wait for the end of the report.
    waiting: Mutex<Vec<Reply<()>>>,
    outbox: Arc<Outbox>,
}

impl Output {
    pub(super) fn new(sink: Stderr, outbox: Arc<Outbox>) -> Self {
        let (sink, waiting) = (Mutex::new(sink), Mutex::default());
        let shared = Shared { sink, is_writing: AtomicBool::new(false), waiting, outbox };
        Self { shared: Arc::new(shared), pieces: None }
    }

    /// Whether a report is being written. No other report may begin until that ends. The reporter
    /// then gets a request.
    pub(super) fn is_writing(&self) -> bool {
        self.shared.is_writing.load(Ordering::Acquire)
    }

    /// How many bytes of the last report were lost, and why, if it has ended.
    pub(super) fn loss(&self) -> Option<(u64, String)> {
        if self.is_writing() { None } else { self.shared.lock().loss() }
    }

    /// Begins a report. `waiting` is dropped when it ends.
    pub(super) fn begin(&mut self, waiting: Vec<Reply<()>>) {
        self.shared.lock().begin();
        drop(self.shared.replace_waiting(waiting));
    }

    /// Has these bytes of the report written, after those that were passed before.
    pub(super) fn write(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        if self.pieces.is_none() {
            self.pieces = self.start_thread();
        }
        if let Some(pieces) = &self.pieces {
            // This fails if the thread has panicked.
            let _ = pieces.send(bytes);
        } else {
            // The reporter writes them, for as long as the deadlines allow.
            let writing = Writing::new(&self.shared);
            let _claim = claim();
            writing.0.lock().write(&bytes);
        }
    }

    /// Ends the report.
    pub(super) fn end(&mut self) {
        if self.pieces.take().is_none() {
            drop(self.shared.replace_waiting(Vec::new()));
        }
    }

    fn start_thread(&self) -> Option<Sender<Vec<u8>>> {
        let (sender, pieces) = channel::channel::<Vec<u8>>();
        let writing = Writing::new(&self.shared);
        own_threads::spawn("gmr stderr", move || {
            capture::shield_thread(None);
            let claim = claim();
            sys::separate_files();
            // The last piece is freed after the output has ended. A thread can be stuck while it holds
            // a lock of the allocator, and the end of the output must not wait for it.
            let mut last = Vec::new();
            let mut sink = writing.0.lock();
            let mut stderr = sink.attach();
            for piece in pieces.iter() {
                stderr.write(&piece);
                last = piece;
            }
            drop(stderr);
            drop(sink);
            drop(claim);
            // Before the next report can begin.
            let others = writing.0.replace_waiting(Vec::new());
            drop(writing);
            drop(others);
            drop(last);
        })
        .ok()?;
        Some(sender)
    }
}

impl Shared {
    /// Sets who waits from now on. To drop the others tells them that the report has ended.
    fn replace_waiting(&self, waiting: Vec<Reply<()>>) -> Vec<Reply<()>> {
        std::mem::replace(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner), waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Stderr> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, a report is being written.
struct Writing(Arc<Shared>);

impl Writing {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.is_writing.store(true, Ordering::Release);
        shared.outbox.output_begins();
        Self(Arc::clone(shared))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.is_writing.store(false, Ordering::Release);
        self.0.outbox.output_ended();
    }
}
