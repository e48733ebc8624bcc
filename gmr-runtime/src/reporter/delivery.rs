//! Has a report written to a file by a thread of its own: a disk that does not respond must not
//! hold up the report, which goes to standard error then.
//!
//! The thread has an empty descriptor table, so that the program cannot close its files, and its
//! children do not inherit them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::capture;
use crate::sinks::LogDir;
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::own_threads;

/// How long a complete report may take to get to the disk. A busy disk takes seconds.
const WITHIN: Duration = Duration::from_secs(10);

/// How long the directory may take to be checked while gmr is installed, which `main` waits for.
const CHECKED_WITHIN: Duration = Duration::from_secs(1);

/// How many threads may be waiting for the disk. Each costs one report the time above.
const MAX_THREADS: usize = 3;

/// Where the files of reports go.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    dir: Arc<LogDir>,
    /// How many threads are writing files.
    running: Arc<AtomicUsize>,
}

impl Files {
    pub(crate) fn new(dir: LogDir) -> Self {
        Self { dir: Arc::new(dir), running: Arc::default() }
    }

    /// Checks the directory.
    ///
    /// # Errors
    /// Why reports cannot be written to it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let dir = Arc::clone(&self.dir);
        let (send, checked) = channel::channel();
        let started = own_threads::spawn("gmr file", move || {
            let _ = send.send(prepare().and_then(|()| dir.check()));
        });
        started.map_err(|error| format!("no thread can be started to check it: {error}"))?;
        let within = format!("it did not respond within {} s", CHECKED_WITHIN.as_secs());
        checked.recv_timeout(CHECKED_WITHIN).unwrap_or(Err(within))
    }

    /// Begins a file.
    pub(super) fn begin(&self) -> Writer {
        let (pieces, received) = channel::channel::<Arc<Vec<u8>>>();
        let (send, result) = channel::channel();
        let mut writer = Writer { pieces: Some(pieces), result, kept: Vec::new(), missing: "" };
        let running = Running::new(&self.running);
        if self.running.load(Ordering::Acquire) > MAX_THREADS {
            writer.missing = "earlier reports are still being written there";
            return writer;
        }
        let dir = Arc::clone(&self.dir);
        let write = move || {
            write(&dir, &received, &send);
            drop(running);
        };
        if own_threads::spawn("gmr file", write).is_err() {
            writer.missing = "no thread can be started to write it";
        }
        writer
    }

    /// The directory.
    pub(crate) fn dir(&self) -> Arc<LogDir> {
        Arc::clone(&self.dir)
    }

    pub(crate) fn path(&self) -> String {
        self.dir.path().display().to_string()
    }
}

/// Counts a thread until it is dropped.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(running))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Prepares the calling thread.
///
/// # Errors
/// Its files would be in the program's descriptor table, where the program can close them, and open
/// others under their numbers.
fn prepare() -> Result<(), String> {
    capture::shield_thread(None);
    #[cfg(target_os = "linux")]
    if !crate::sys::leave_or_copy_files() {
        return Err("the kernel cannot give a thread a descriptor table of its own".to_owned());
    }
    Ok(())
}

/// What the thread does.
fn write(dir: &LogDir, pieces: &Receiver<Arc<Vec<u8>>>, result: &Sender<Result<PathBuf, String>>) {
    let mut file = match prepare().and_then(|()| dir.create()) {
        Ok(file) => file,
        Err(reason) => return drop(result.send(Err(reason))),
    };
    for piece in pieces.iter() {
        if let Err(reason) = file.write(&piece) {
            return drop(result.send(Err(reason)));
        }
    }
    let finished = file.finish();
    let is_finished = finished.is_ok();
    // This fails if it took too long: then the report has gone elsewhere, too.
    let _ = result.send(finished);
    if is_finished {
        file.remove_others();
    }
}

/// A report that is being written to a file.
pub(super) struct Writer {
    /// Leads to the thread; `None` at the end.
    pieces: Option<Sender<Arc<Vec<u8>>>>,
    result: Receiver<Result<PathBuf, String>>,
    /// All bytes, until it is known that they are in the file.
    kept: Vec<Arc<Vec<u8>>>,
    /// Why there is no thread; empty if there is one.
    missing: &'static str,
}

/// A report that is in no file.
pub(super) struct Unwritten {
    pub(super) reason: String,
    pub(super) pieces: Vec<Arc<Vec<u8>>>,
}

impl Writer {
    pub(super) fn write(&mut self, bytes: Vec<u8>) -> Arc<Vec<u8>> {
        let bytes = Arc::new(bytes);
        if let Some(pieces) = &self.pieces {
            // This fails if the thread has ended. It has said why.
            let _ = pieces.send(Arc::clone(&bytes));
        }
        self.kept.push(Arc::clone(&bytes));
        bytes
    }

    /// Waits until the file is there, and returns its path.
    ///
    /// # Errors
    /// Why it is not, and all of the report.
    pub(super) fn finish(mut self) -> Result<PathBuf, Unwritten> {
        self.pieces = None;
        let result = match self.missing {
            "" => self.result.recv_timeout(WITHIN).unwrap_or_else(|error| {
                Err(match error {
                    RecvTimeoutError::Timeout => {
                        format!("the disk did not respond within {} s", WITHIN.as_secs())
                    }
                    RecvTimeoutError::Disconnected => "the thread that writes it panicked".to_owned(),
                })
            }),
            reason => Err(reason.to_owned()),
        };
        result.map_err(|reason| Unwritten { reason, pieces: self.kept })
    }
}
