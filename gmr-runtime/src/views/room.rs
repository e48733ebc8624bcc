//! How much of a report a text or a page shows. What is beyond that is counted, never left out in
//! silence. JSON and XML have all of it.
//!
//! The limits are far above what a person reads. They bound what a document costs that somebody
//! else has made: a frame is in a document once, but is shown in every stack that refers to it.

use std::borrow::Cow;
use std::cell::Cell;

use super::escape::clean_within;

/// The most rows of a section: groups of threads or tasks, lines of a list, entries of values.
pub(super) const MAX_ROWS: usize = 10_000;

/// The most bytes of a text: what a pager opens without a pause.
pub(super) const MAX_TEXT: usize = 64 << 20;

/// The most bytes of a page, without its style, its script and the drawing: what a browser shows
/// within a second.
#[cfg(feature = "html")]
pub(super) const MAX_PAGE: usize = 4 << 20;

/// The most bytes of data on one line, such as the name, the file or the source line of a frame.
const MAX_LINE: usize = 2 << 10;

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Room {
    rows: Cell<usize>,
    bytes: Cell<usize>,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self { rows: Cell::new(MAX_ROWS), bytes: Cell::new(bytes) }
    }

    /// A section begins, with rows of its own.
    pub(super) fn begin_section(&self) {
        self.rows.set(MAX_ROWS);
    }

    /// Whether one more row is shown.
    pub(super) fn take_row(&self) -> bool {
        let (rows, has_bytes) = (self.rows.get(), self.bytes.get() > 0);
        self.rows.set(rows.saturating_sub(1));
        rows > 0 && has_bytes
    }

    /// So many bytes were written.
    pub(super) fn spend(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    /// Whether one more row of so many bytes is shown.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let shown = self.take_row();
        self.spend(bytes);
        shown
    }
}

/// `(12 more threads are not shown)`
pub(super) fn not_shown(count: usize, noun: &str) -> String {
    let (verb, ending) = match (count, noun.ends_with('s') || noun.ends_with('h')) {
        (1, _) => ("is", ""),
        (_, true) => ("are", "es"),
        (_, false) => ("are", "s"),
    };
    format!("({count} more {noun}{ending} {verb} not shown)")
}

/// Data on one line, and without its end if it is very long: thousands of stacks can have a frame.
pub(super) fn of_line(text: &str) -> Cow<'_, str> {
    clean_within(text, MAX_LINE)
}
