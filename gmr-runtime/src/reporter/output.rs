//! Writes reports for signals to standard error or to a file, on a separate thread for each report,
//! so that neither the reporter nor a caller of `Report::capture` waits for whoever reads them.
//!
//! With a file, standard error gets one line, which says where the report is. If the file cannot be
//! written, it gets the report, after the reason.
//!
//! The thread has its own descriptor table. So the whole report goes to the file that descriptor 2
//! was when the output began. One report is written at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::delivery::{Files, Unwritten};
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
    /// A file for each report.
    pub(crate) files: Option<Files>,
    /// Whether they also go to standard error if there is a file.
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
    /// The report is complete. What to say of it on standard error.
    End(String),
}

struct Shared {
    /// Locked for as long as a report is being written.
    sink: Mutex<Stderr>,
    is_writing: AtomicBool,
    /// Those who wait for the end of the report.
    waiting: Mutex<Vec<Reply<()>>>,
    /// Whether the last report is complete in a file.
    is_in_file: AtomicBool,
    outbox: Arc<Outbox>,
}

impl Output {
    pub(super) fn new(sink: Stderr, target: Target, outbox: Arc<Outbox>) -> Self {
        let shared = Shared {
            sink: Mutex::new(sink),
            is_writing: AtomicBool::new(false),
            waiting: Mutex::default(),
            is_in_file: AtomicBool::new(false),
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
        if self.is_writing() || self.shared.is_in_file.load(Ordering::Acquire) {
            return None;
        }
        self.shared.lock().loss()
    }

    /// Whether reports go to files.
    pub(super) fn has_files(&self) -> bool {
        self.target.files.is_some()
    }

    /// Begins a report. `waiting` is dropped when it ends.
    pub(super) fn begin(&mut self, waiting: Vec<Reply<()>>) {
        self.shared.lock().begin();
        self.shared.is_in_file.store(false, Ordering::Release);
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

    /// Ends the report. If it is in a file, `about` is what standard error has on it.
    pub(super) fn end(&mut self, about: String) {
        self.is_report = false;
        match self.pieces.take() {
            Some(pieces) => drop(pieces.send(Piece::End(about))),
            None => drop(self.shared.replace_waiting(Vec::new())),
        }
    }

    fn start_thread(&self) -> Option<Sender<Piece>> {
        let (sender, pieces) = channel::channel::<Piece>();
        let writing = Writing::new(&self.shared);
        let Target { files, also_stderr } = self.target.clone();
        let files = files.filter(|_| self.is_report);
        own_threads::spawn("gmr stderr", move || {
            capture::shield_thread(None);
            let claim = claim();
            sys::separate_files();
            // The last piece is freed after the output has ended. A thread can be stuck while it
            // holds a lock of the allocator, and the end of the output must not wait for it.
            let mut last = Vec::new();
            let mut sink = writing.0.lock();
            let mut stderr = sink.attach();
            let mut file = files.as_ref().map(Files::begin);
            let mut about = String::new();
            for piece in pieces.iter() {
                match (piece, &mut file) {
                    (Piece::Bytes(bytes), None) => {
                        stderr.write(&bytes);
                        last = bytes;
                    }
                    (Piece::Bytes(bytes), Some(file)) => {
                        let bytes = file.write(bytes);
                        if also_stderr {
                            stderr.write(&bytes);
                        }
                    }
                    (Piece::End(text), _) => about = text,
                }
            }
            if let (Some(file), Some(files)) = (file, &files) {
                match file.finish() {
                    Ok(path) => {
                        let line = format!("gmr: {about}: {}\n", views::printable(&path.to_string_lossy()));
                        stderr.write(line.as_bytes());
                        writing.0.is_in_file.store(!also_stderr, Ordering::Release);
                    }
                    Err(Unwritten { reason, pieces }) => {
                        let dir = files.path();
                        let dir = views::printable(&dir);
                        let line = format!("gmr: warning: no report is written to {dir}: {reason}\n");
                        stderr.write(line.as_bytes());
                        if !also_stderr {
                            for bytes in &pieces {
                                stderr.write(bytes);
                            }
                        }
                    }
                }
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
