//! Writes reports for signals to standard error or to other places, on a separate thread for each
//! report, so that neither the reporter nor a caller of `Report::capture` waits for whoever reads
//! them.
//!
//! With other places, standard error gets one line for each, which says where the report is. If it
//! arrives at none, standard error gets the report, after the reasons.
//!
//! The thread has its own descriptor table. So the whole report goes to the file that descriptor 2
//! was when the output began. One report is written at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::delivery::{Delivery, Destination, Outline};
use crate::sinks::Stderr;
use crate::sys::channel::{self, Sender};
use crate::sys::{Claim, Purpose, own_threads};
use crate::trigger::Outbox;
use crate::trigger::reply::Reply;
use crate::{capture, sys, views};

/// How long another copy of gmr in this process may be writing a report: as long as this one may.
const OTHERS_WITHIN: Duration = Duration::from_secs(70);

/// Where reports go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// Other places than standard error.
    pub(crate) destinations: Vec<Destination>,
    /// Whether they also go to standard error if there are other places.
    pub(crate) also_stderr: bool,
}

/// The claim on standard error.
fn claim() -> Option<Claim> {
    sys::claim(Purpose::Output, OTHERS_WITHIN, || ())
}

/// Writes one report after the other.
pub(super) struct Output {
    shared: Arc<Shared>,
    target: Target,
    /// Whether it is a report, and not a warning, that is being written.
    is_report: bool,
    /// Leads to the thread that writes the report, if there is one.
    pieces: Option<Sender<Piece>>,
}

/// What the thread gets.
enum Piece {
    /// Bytes of the report.
    Bytes(Vec<u8>),
    /// The report is complete.
    End(Outline),
}

struct Shared {
    /// Locked for as long as a report is being written.
    sink: Mutex<Stderr>,
    is_writing: AtomicBool,
    /// Those who wait for the end of the report.
    waiting: Mutex<Vec<Reply<()>>>,
    /// Whether the last report has arrived at another place than standard error.
    is_delivered: AtomicBool,
    outbox: Arc<Outbox>,
}

impl Output {
    pub(super) fn new(sink: Stderr, target: Target, outbox: Arc<Outbox>) -> Self {
        let shared = Shared {
            sink: Mutex::new(sink),
            is_writing: AtomicBool::new(false),
            waiting: Mutex::default(),
            is_delivered: AtomicBool::new(false),
            outbox,
        };
        Self { shared: Arc::new(shared), target, is_report: false, pieces: None }
    }

    /// Whether a report is being written. No other report may begin until that ends. The reporter
    /// then gets a request.
    pub(super) fn is_writing(&self) -> bool {
        self.shared.is_writing.load(Ordering::Acquire)
    }

    /// How many bytes of the last report were lost, and why, if it has ended.
    pub(super) fn loss(&self) -> Option<(u64, String)> {
        if self.is_writing() || self.shared.is_delivered.load(Ordering::Acquire) {
            return None;
        }
        self.shared.lock().loss()
    }

    /// Whether reports go to other places than standard error.
    pub(super) fn has_destinations(&self) -> bool {
        !self.target.destinations.is_empty()
    }

    /// Begins a report. `waiting` is dropped when it ends.
    pub(super) fn begin(&mut self, waiting: Vec<Reply<()>>) {
        self.shared.lock().begin();
        self.shared.is_delivered.store(false, Ordering::Release);
        self.is_report = true;
        drop(self.shared.replace_waiting(waiting));
    }

    /// Has these bytes of the report written, after those that were passed before.
    pub(super) fn write(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        if self.pieces.is_none() {
            self.pieces = self.start_thread();
            // A thread that can be started later must not take the rest for the whole.
            self.is_report &= self.pieces.is_some();
        }
        if let Some(pieces) = &self.pieces {
            // This fails if the thread has panicked.
            let _ = pieces.send(Piece::Bytes(bytes));
        } else {
            // The reporter writes them, for as long as the deadlines allow.
            let writing = Writing::new(&self.shared);
            let _claim = claim();
            writing.0.lock().write(&bytes);
        }
    }

    /// Ends the report. If it has gone to another place, `outline` is what standard error has on
    /// it.
    pub(super) fn end(&mut self, outline: Outline) {
        self.is_report = false;
        match self.pieces.take() {
            Some(pieces) => drop(pieces.send(Piece::End(outline))),
            None => drop(self.shared.replace_waiting(Vec::new())),
        }
    }

    fn start_thread(&self) -> Option<Sender<Piece>> {
        let (sender, pieces) = channel::channel::<Piece>();
        let writing = Writing::new(&self.shared);
        let Target { destinations, also_stderr } = self.target.clone();
        let destinations = if self.is_report { destinations } else { Vec::new() };
        own_threads::spawn("gmr stderr", move || {
            capture::shield_thread(None);
            let claim = claim();
            sys::separate_files();
            // The last piece is freed after the output has ended. A thread can be stuck while it
            // holds a lock of the allocator, and the end of the output must not wait for it.
            let mut last = Vec::new();
            let mut sink = writing.0.lock();
            let mut stderr = sink.attach();
            let mut deliveries: Vec<Delivery> = destinations.iter().map(Destination::begin).collect();
            let is_elsewhere = deliveries.iter().any(|delivery| delivery.is_whole);
            let at_once = also_stderr || !is_elsewhere;
            // All of the report, until it is known where it is.
            let mut kept = Vec::new();
            let mut outline = Outline::default();
            for piece in pieces.iter() {
                match piece {
                    Piece::Bytes(bytes) if deliveries.is_empty() => {
                        stderr.write(&bytes);
                        last = bytes;
                    }
                    Piece::Bytes(bytes) => {
                        let bytes = Arc::new(bytes);
                        for delivery in deliveries.iter().filter(|delivery| delivery.is_whole) {
                            delivery.write(&bytes);
                        }
                        if at_once {
                            stderr.write(&bytes);
                        } else {
                            kept.push(bytes);
                        }
                    }
                    Piece::End(end) => outline = end,
                }
            }
            for delivery in &mut deliveries {
                delivery.end(&outline);
            }
            let mut has_arrived = false;
            for delivery in deliveries {
                let name = delivery.name.clone();
                let line = match delivery.finish() {
                    Ok(Some(place)) => {
                        has_arrived = true;
                        format!("gmr: {}: {}\n", outline.text, views::printable(&place))
                    }
                    Ok(None) => continue,
                    Err(reason) => {
                        let name = views::printable(&name);
                        format!("gmr: warning: no report is written to {name}: {reason}\n")
                    }
                };
                stderr.write(line.as_bytes());
            }
            writing.0.is_delivered.store(has_arrived && !also_stderr, Ordering::Release);
            if !has_arrived {
                for bytes in &kept {
                    stderr.write(bytes);
                }
            }
            drop(kept);
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
