//! Has reports delivered to places beside standard error, by threads of their own: a disk or a
//! service that does not respond must not hold up the report, which goes to standard error then.
//!
//! Each thread has an empty descriptor table, so that the program cannot close its files, and its
//! children do not inherit them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::capture;
use crate::model::Severity;
use crate::sinks::{Journal, LogDir};
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::own_threads;
use crate::views::Format;

/// How long a complete report may take to arrive. A busy disk takes seconds.
const WITHIN: Duration = Duration::from_secs(10);

/// How long a place may take to be checked while gmr is installed, which `main` waits for.
const CHECKED_WITHIN: Duration = Duration::from_secs(1);

/// How many threads may be waiting for one place. Each costs one report the time above.
const MAX_THREADS: usize = 3;

/// A place for reports.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    place: Arc<Place>,
    /// How many threads are delivering to it.
    running: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Place {
    /// A file for each report.
    Dir(Arc<LogDir>),
    /// An entry for each report.
    Journal { service: String, format: Format },
}

/// What is known of a report at its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    pub(super) number: u64,
    /// The report in one line.
    pub(super) text: String,
    /// The highest of its findings.
    pub(super) severity: Option<Severity>,
}

impl Destination {
    pub(crate) fn dir(dir: LogDir) -> Self {
        Self::new(Place::Dir(Arc::new(dir)))
    }

    /// The journal, whose entries of this service are made in this format.
    pub(crate) fn journal(service: String, format: Format) -> Self {
        Self::new(Place::Journal { service, format })
    }

    fn new(place: Place) -> Self {
        Self { place: Arc::new(place), running: Arc::default() }
    }

    /// Whether reports could be delivered now.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let place = Arc::clone(&self.place);
        let (send, checked) = channel::channel();
        let started = own_threads::spawn(self.thread_name(), move || {
            let _ = send.send(prepare().and_then(|()| place.check()));
        });
        started.map_err(|error| format!("no thread can be started to check it: {error}"))?;
        let within = format!("it did not respond within {} s", CHECKED_WITHIN.as_secs());
        checked.recv_timeout(CHECKED_WITHIN).unwrap_or(Err(within))
    }

    /// Begins a report.
    pub(super) fn begin(&self) -> Delivery {
        let (pieces, received) = channel::channel();
        let (send, result) = channel::channel();
        let mut delivery = Delivery { name: self.to_string(), pieces: Some(pieces), result, missing: "" };
        let running = Running::new(&self.running);
        if self.running.load(Ordering::Acquire) > MAX_THREADS {
            delivery.missing = "earlier reports are still being written there";
            return delivery;
        }
        let place = Arc::clone(&self.place);
        let deliver = move || {
            match prepare() {
                Ok(()) => place.deliver(&received, &send),
                Err(reason) => drop(send.send(Err(reason))),
            }
            drop(running);
        };
        if own_threads::spawn(self.thread_name(), deliver).is_err() {
            delivery.missing = "no thread can be started to write it";
        }
        delivery
    }

    /// The directory, if it is one.
    pub(crate) fn as_dir(&self) -> Option<Arc<LogDir>> {
        match &*self.place {
            Place::Dir(dir) => Some(Arc::clone(dir)),
            Place::Journal { .. } => None,
        }
    }

    fn thread_name(&self) -> &'static str {
        match &*self.place {
            Place::Dir(_) => "gmr file",
            Place::Journal { .. } => "gmr journal",
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.place {
            Place::Dir(dir) => dir.path().display().fmt(f),
            Place::Journal { .. } => f.write_str("the journal"),
        }
    }
}

/// A part of a report that is being delivered.
enum Piece {
    Bytes(Arc<Vec<u8>>),
    /// It is complete.
    End(Outline),
}

/// Where the report is, or why it is not there.
type Delivered = Result<String, String>;

impl Place {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Dir(dir) => dir.check(),
            Self::Journal { .. } => Journal::connect().map(drop),
        }
    }

    /// What the thread does.
    fn deliver(&self, pieces: &Receiver<Piece>, result: &Sender<Delivered>) {
        match self {
            Self::Dir(dir) => to_file(dir, pieces, result),
            Self::Journal { service, format } => {
                // This fails if it took too long: then the report has gone elsewhere, too.
                let _ = result.send(to_journal(service, *format, pieces));
            }
        }
    }
}

fn to_file(dir: &LogDir, pieces: &Receiver<Piece>, result: &Sender<Delivered>) {
    let mut file = match dir.create() {
        Ok(file) => file,
        Err(reason) => return drop(result.send(Err(reason))),
    };
    for piece in pieces.iter() {
        if let Piece::Bytes(bytes) = piece
            && let Err(reason) = file.write(&bytes)
        {
            return drop(result.send(Err(reason)));
        }
    }
    let finished = file.finish();
    let is_finished = finished.is_ok();
    // This fails if it took too long: then the report has gone elsewhere, too.
    let _ = result.send(finished.map(|path| path.display().to_string()));
    if is_finished {
        file.remove_others();
    }
}

/// Text is the entry's message, after a line that says what is in it: `systemctl status` shows no
/// more. Other formats have a field of their own.
fn to_journal(service: &str, format: Format, pieces: &Receiver<Piece>) -> Delivered {
    /// Identifies entries that are reports: `journalctl MESSAGE_ID=…`.
    const MESSAGE_ID: &str = "6b1f8a5c2d934be7a0f4c9d1e85237ab";
    let journal = Journal::connect()?;
    let mut report = Vec::new();
    let mut outline = None;
    for piece in pieces.iter() {
        match piece {
            Piece::Bytes(bytes) => report.extend_from_slice(&bytes),
            Piece::End(end) => outline = Some(end),
        }
    }
    let outline = outline.unwrap_or_default();
    let number = outline.number.to_string();
    let mut fields = vec![
        ("MESSAGE_ID", MESSAGE_ID.as_bytes()),
        ("PRIORITY", priority(outline.severity).as_bytes()),
        ("SYSLOG_IDENTIFIER", service.as_bytes()),
        ("GMR_REPORT", number.as_bytes()),
        ("GMR_OUTLINE", outline.text.as_bytes()),
    ];
    let message;
    if format == Format::Text {
        message = [outline.text.as_bytes(), b"\n", &report].concat();
        fields.push(("MESSAGE", &message));
    } else {
        fields.extend([("MESSAGE", outline.text.as_bytes()), ("GMR_DOCUMENT", &report)]);
    }
    journal.send(&fields)?;
    Ok("in the journal".to_owned())
}

/// The level of syslog: error, warning, or informational.
fn priority(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Error) => "3",
        Some(Severity::Warning) => "4",
        _ => "6",
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

/// A report that is being delivered.
pub(super) struct Delivery {
    /// What the place is called.
    pub(super) name: String,
    /// Leads to the thread; `None` at the end.
    pieces: Option<Sender<Piece>>,
    result: Receiver<Delivered>,
    /// Why there is no thread; empty if there is one.
    missing: &'static str,
}

impl Delivery {
    pub(super) fn write(&self, bytes: &Arc<Vec<u8>>) {
        self.pass(Piece::Bytes(Arc::clone(bytes)));
    }

    pub(super) fn end(&mut self, outline: &Outline) {
        self.pass(Piece::End(outline.clone()));
        self.pieces = None;
    }

    fn pass(&self, piece: Piece) {
        if let Some(pieces) = &self.pieces {
            // This fails if the thread has ended. It has said why.
            let _ = pieces.send(piece);
        }
    }

    /// Waits until the report has arrived, and says where it is.
    ///
    /// # Errors
    /// Why it has not.
    pub(super) fn finish(mut self) -> Delivered {
        self.pieces = None;
        if !self.missing.is_empty() {
            return Err(self.missing.to_owned());
        }
        self.result.recv_timeout(WITHIN).unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => format!("no response within {} s", WITHIN.as_secs()),
                RecvTimeoutError::Disconnected => "the thread that writes it panicked".to_owned(),
            })
        })
    }
}
