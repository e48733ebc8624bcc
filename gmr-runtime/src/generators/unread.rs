//! What a section could not read, for its notes.

use std::io;

use crate::sys::sorted_map::SortedMap;

/// What could not be read, by the error.
#[derive(Default)]
pub(super) struct Unread(SortedMap<String, Vec<&'static str>>);

impl Unread {
    /// What was read, if it was.
    pub(super) fn known<T>(&mut self, what: &'static str, read: io::Result<T>) -> Option<T> {
        read.inspect_err(|error| self.add(what, error)).ok()
    }

    pub(super) fn add(&mut self, what: &'static str, error: &io::Error) {
        let all = self.0.entry(error.to_string());
        if !all.contains(&what) {
            all.push(what);
        }
    }

    pub(super) fn notes(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(error, what)| format!("could not read {}: {error}", what.join(", ")))
    }
}
