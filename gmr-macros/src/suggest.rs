//! Suggestions for misspelled words.
//!
//! Knows nothing about options, signals or formats: the caller passes the words to choose from.

/// The known word closest to the one that was written, if it is close enough to be a typo.
pub(crate) fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The same threshold as in rustc's own suggestions: a third of the letters.
    let tolerated = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (distance(written, word), word))
        .filter(|&(distance, _)| distance <= tolerated)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

/// The words in backticks, separated by commas.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The Damerau–Levenshtein distance: how many insertions, deletions, substitutions and swaps of
/// neighbouring letters turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for (i, letter) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in to.iter().enumerate() {
            let changed = rows[i][j] + usize::from(letter != other);
            let mut least = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == to[j - 1] && from[i - 1] == *other {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_are_recognized() {
        let known = ["title", "order", "timeout", "crate"];
        assert_eq!(closest("tittle", known), Some("title"));
        assert_eq!(closest("time_out", known), Some("timeout"));
        assert_eq!(closest("oder", known), Some("order"));
        assert_eq!(closest("colour", known), None);
        assert_eq!(closest("", known), None);
        assert_eq!(closest("SIGURS1", ["SIGURG", "SIGUSR1"]), Some("SIGUSR1"), "two letters swapped");
    }
}
