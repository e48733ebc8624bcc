//! Has reports delivered to places beside standard error, by threads of their own: a disk or a
//! service that does not respond must not hold up the report, which goes to standard error then.
//!
//! Each thread has an empty descriptor table, so that the program cannot close its files, and its
//! children do not inherit them. Only the one that calls the program's subscriber is like a thread of
//! the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::capture;
use crate::model::Severity;
#[cfg(feature = "tracing")]
use crate::section::panics;
use crate::sinks::{Journal, LogDir};
use crate::sys;
use crate::sys::channel::{self, Receiver, Sender};
use crate::sys::own_threads;
#[cfg(feature = "tracing")]
use crate::tracing::report::ReportEvent;
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
    /// An event for each report, for the program's subscriber.
    #[cfg(feature = "tracing")]
    Subscriber(LogTracing),
}

/// What the events say of reports that go to the program's subscriber of `tracing`
/// ([`Builder::log_tracing`](crate::Builder::log_tracing)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogTracing {
    /// There are no events.
    #[default]
    Off,
    /// The heading and the findings. The report also goes to where it would go without.
    Summary,
    /// The whole report as well, in a field. It goes to standard error only if the subscriber does
    /// not take it.
    Full,
}

/// What is known of a report at its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    pub(super) number: u64,
    /// The report in one line.
    pub(super) text: String,
    /// The highest of its findings.
    pub(super) severity: Option<Severity>,
    /// A line for each finding.
    #[cfg(feature = "tracing")]
    pub(super) findings: String,
}

impl Destination {
    pub(crate) fn dir(dir: LogDir) -> Self {
        Self::new(Place::Dir(Arc::new(dir)))
    }

    /// The journal, whose entries of this service are made in this format.
    pub(crate) fn journal(service: String, format: Format) -> Self {
        Self::new(Place::Journal { service, format })
    }

    /// The program's subscriber.
    #[cfg(feature = "tracing")]
    pub(crate) fn subscriber(what: LogTracing) -> Self {
        Self::new(Place::Subscriber(what))
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
            let _ = send.send(place.prepare().and_then(|()| place.check()));
        });
        started.map_err(|error| format!("no thread can be started to check it: {error}"))?;
        let within = format!("it did not respond within {} s", CHECKED_WITHIN.as_secs());
        checked.recv_timeout(CHECKED_WITHIN).unwrap_or(Err(within))
    }

    /// Begins a report.
    pub(super) fn begin(&self) -> Delivery {
        let (pieces, received) = channel::channel();
        let (send, result) = channel::channel();
        let mut delivery = Delivery {
            name: self.to_string(),
            is_whole: self.takes_all(),
            pieces: Some(pieces),
            result,
            missing: "",
        };
        let running = Running::new(&self.running);
        if self.running.load(Ordering::Acquire) > MAX_THREADS {
            delivery.missing = "earlier reports are still being written there";
            return delivery;
        }
        let place = Arc::clone(&self.place);
        let deliver = move || {
            match place.prepare() {
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
            #[cfg(feature = "tracing")]
            Place::Subscriber(_) => None,
        }
    }

    /// Whether it takes whole reports.
    fn takes_all(&self) -> bool {
        match &*self.place {
            Place::Dir(_) | Place::Journal { .. } => true,
            #[cfg(feature = "tracing")]
            Place::Subscriber(what) => *what == LogTracing::Full,
        }
    }

    fn thread_name(&self) -> &'static str {
        match &*self.place {
            Place::Dir(_) => "gmr file",
            Place::Journal { .. } => "gmr journal",
            #[cfg(feature = "tracing")]
            Place::Subscriber(_) => "gmr tracing",
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.place {
            Place::Dir(dir) => dir.path().display().fmt(f),
            Place::Journal { .. } => f.write_str("the journal"),
            #[cfg(feature = "tracing")]
            Place::Subscriber(_) => f.write_str("the subscriber of `tracing`"),
        }
    }
}

/// A part of a report that is being delivered.
enum Piece {
    Bytes(Arc<Vec<u8>>),
    /// It is complete.
    End(Outline),
}

/// Where the report is, or why it is not there. `None` if the place takes no whole reports.
type Delivered = Result<Option<String>, String>;

impl Place {
    /// Prepares the calling thread.
    ///
    /// # Errors
    /// Its files would be in the program's descriptor table, where the program can close them, and
    /// open others under their numbers.
    fn prepare(&self) -> Result<(), String> {
        capture::shield_thread(None);
        #[cfg(feature = "tracing")]
        if let Self::Subscriber(_) = self {
            // What the subscriber starts or opens is the program's.
            panics::install_hook();
            sys::with_files(sys::ProgramAttributes::read).adopt();
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        if !sys::leave_or_close_files() {
            return Err("the kernel cannot give a thread a descriptor table of its own".to_owned());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Dir(dir) => dir.check(),
            Self::Journal { .. } => Journal::connect().map(drop),
            // The program may set its subscriber later.
            #[cfg(feature = "tracing")]
            Self::Subscriber(_) => Ok(()),
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
            #[cfg(feature = "tracing")]
            Self::Subscriber(what) => {
                let mut delivered = Ok(None);
                let panicked = own_threads::catch(|| delivered = to_subscriber(*what, pieces));
                let panicked = panicked.map_err(|message| format!("it panicked: {message}"));
                let _ = result.send(panicked.and(delivered));
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
    let _ = result.send(finished.map(|path| Some(path.display().to_string())));
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
    let (report, outline) = received(pieces);
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
    Ok(Some("in the journal".to_owned()))
}

/// An event of the report. A filter of the program's can leave it out.
#[cfg(feature = "tracing")]
fn to_subscriber(what: LogTracing, pieces: &Receiver<Piece>) -> Delivered {
    let (report, outline) = received(pieces);
    let is_full = what == LogTracing::Full;
    let event = ReportEvent {
        number: outline.number,
        outline: &outline.text,
        findings: &outline.findings,
        severity: outline.severity,
        document: is_full.then_some(str::from_utf8(&report).unwrap_or_default()),
    };
    match event.emit() {
        Ok(true) => Ok(is_full.then(|| "an event of `tracing`".to_owned())),
        Ok(false) if is_full => Err("it takes no event of the target `gmr` at this level".to_owned()),
        Ok(false) => Ok(None),
        Err(reason) => Err(reason),
    }
}

/// All of a report.
fn received(pieces: &Receiver<Piece>) -> (Vec<u8>, Outline) {
    let mut report = Vec::new();
    let mut outline = Outline::default();
    for piece in pieces.iter() {
        match piece {
            Piece::Bytes(bytes) => report.extend_from_slice(&bytes),
            Piece::End(end) => outline = end,
        }
    }
    (report, outline)
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

/// A report that is being delivered.
pub(super) struct Delivery {
    /// What the place is called.
    pub(super) name: String,
    /// Whether all of the report goes there.
    pub(super) is_whole: bool,
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
