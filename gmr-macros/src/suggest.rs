//! What the user may have meant: the known word that is closest to the one that was written.

/// The closest of the known words, if one is close enough to be a slip of the pen.
pub(crate) fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters is what rustc's own suggestions tolerate.
    let tolerated = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (distance(written, word), word))
        .filter(|&(distance, _)| distance <= tolerated)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

/// The words in backquotes, with commas between them.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// How many letters have to be put in, taken out or changed to make one word of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood() {
        let known = ["title", "order", "timeout", "crate"];
        assert_eq!(closest("tittle", known), Some("title"));
        assert_eq!(closest("time_out", known), Some("timeout"));
        assert_eq!(closest("oder", known), Some("order"));
        assert_eq!(closest("colour", known), None);
        assert_eq!(closest("", known), None);
    }
}
