//! What takes long, on one line of standard error, if that is a terminal: what is being done, and for
//! how long. It appears after a moment, and nothing of it stays. Without a terminal, nothing is written
//! and no thread is started.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use gmr_runtime::__cli::printable;
use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthChar as _;

/// After what time it appears. Who waits for less does not wonder.
const AFTER: Duration = Duration::from_millis(300);

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// Erases the line.
const ERASE: &str = "\r\x1b[K";

/// Something that may take long. The line goes when this is dropped.
pub(crate) struct Progress(Option<Shown>);

struct Shown {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    is_over: Condvar,
}

struct State {
    text: String,
    is_over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Says that this is being done, once it has taken a moment.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if is_dumb || !io::stderr().is_terminal() {
            return Self(None);
        }
        let state = Mutex::new(State { text: text.into(), is_over: false });
        let shared = Arc::new(Shared { state, is_over: Condvar::new() });
        let shown = Arc::clone(&shared);
        // Without a thread, it is not shown.
        let thread = thread::Builder::new().spawn(move || show(&shown)).ok();
        Self(Some(Shown { shared, thread }))
    }

    /// Says this instead.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if let Self(Some(shown)) = self {
            shown.shared.state().text = text();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Self(Some(shown)) = self else { return };
        shown.shared.state().is_over = true;
        shown.shared.is_over.notify_all();
        // What is written next must not be erased.
        let _ = shown.thread.take().map(JoinHandle::join);
    }
}

fn show(shared: &Shared) {
    let began = Instant::now();
    let (mut time, mut is_drawn) = (AFTER, false);
    loop {
        let waited = shared.is_over.wait_timeout_while(shared.state(), time, |state| !state.is_over);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_over {
            break;
        }
        let text = format!("{}, {} s", state.text, began.elapsed().as_secs());
        drop(state);
        let _ = write!(io::stderr(), "\r{}\x1b[K", fitting(&printable(&text)));
        (time, is_drawn) = (EVERY, true);
    }
    if is_drawn {
        let _ = write!(io::stderr(), "{ERASE}");
    }
}

/// As much of it as fits on one line: what wraps can't be erased.
fn fitting(text: &str) -> &str {
    let columns = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    // Some terminals do not say.
    let columns = if columns == 0 { 80 } else { columns };
    let mut width = 0;
    let end = text.char_indices().find(|(_, c)| {
        width += c.width().unwrap_or_default();
        width >= columns
    });
    &text[..end.map_or(text.len(), |(index, _)| index)]
}
