//! The remarks of a report and of its sections.

use crate::views::room::{not_shown, of_line};

/// The most notes that are shown together. A report has a few.
const MAX_NOTES: usize = 200;

/// The notes, each on one line, then how many are not shown.
pub(in crate::views) fn notes(notes: &[String]) -> impl Iterator<Item = String> {
    let (shown, more) = notes.split_at(notes.len().min(MAX_NOTES));
    let more = (!more.is_empty()).then(|| not_shown(more.len(), "note"));
    shown.iter().map(|note| of_line(note).into_owned()).chain(more)
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn more_notes_than_a_report_has_are_counted() {
        let all = vec!["a\tb".to_owned(); MAX_NOTES + 7];
        let shown: Vec<String> = notes(&all).collect();
        assert_eq!((&*shown[0], &*shown[MAX_NOTES]), ("a\\tb", "(7 more notes are not shown)"));
        assert_eq!(notes(&all[..MAX_NOTES]).count(), MAX_NOTES);
    }
}
