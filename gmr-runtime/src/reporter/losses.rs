//! Which reports were not written whole, until a report that says so is. It writes nothing itself.

use std::collections::VecDeque;

/// How many losses are kept with their numbers and reasons.
const MAX_KEPT: usize = 16;

/// The losses that no report on standard error has told of whole.
#[derive(Debug, Default)]
pub(super) struct Losses {
    notes: VecDeque<String>,
    older: usize,
}

impl Losses {
    /// A report begins on standard error. `last` says what the one before it lost; if that was
    /// nothing, it told of all losses before it.
    pub(super) fn begin(&mut self, last: Option<String>) {
        let Some(note) = last else {
            *self = Self::default();
            return;
        };
        if self.notes.len() == MAX_KEPT {
            self.notes.pop_front();
            self.older += 1;
        }
        self.notes.push_back(note);
    }

    /// For the heading of a report, the oldest first.
    pub(super) fn notes(&self) -> Vec<String> {
        let older =
            (self.older > 0).then(|| format!("{} earlier reports were lost in part, too", self.older));
        older.into_iter().chain(self.notes.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_until_a_report_was_written_whole() {
        let mut losses = Losses::default();
        losses.begin(None);
        assert_eq!(losses.notes(), [""; 0]);
        losses.begin(Some("report 1".to_owned()));
        losses.begin(Some("report 2".to_owned()));
        assert_eq!(losses.notes(), ["report 1", "report 2"]);
        losses.begin(None);
        assert_eq!(losses.notes(), [""; 0]);
    }

    #[test]
    fn the_oldest_of_many_losses_are_counted() {
        let mut losses = Losses::default();
        for number in 1..=20 {
            losses.begin(Some(format!("report {number}")));
        }
        let notes = losses.notes();
        assert_eq!(notes.len(), 1 + MAX_KEPT);
        assert_eq!(notes[..2], ["4 earlier reports were lost in part, too", "report 5"]);
    }
}
