//! The nearest character boundary in a text. `str::floor_char_boundary` and `ceil_char_boundary` do
//! the same from Rust 1.91 on, which is later than the oldest release that gmr compiles with.

/// The last boundary at or before `index`.
pub(super) fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// The first boundary at or after `index`.
pub(super) fn ceil(text: &str, index: usize) -> usize {
    (index..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_rounded_to_characters() {
        let text = "aé日b"; // boundaries at 0, 1, 3, 6, 7
        let floors: Vec<_> = (0..9).map(|index| floor(text, index)).collect();
        assert_eq!(floors, [0, 1, 1, 3, 3, 3, 6, 7, 7]);
        let ceils: Vec<_> = (0..9).map(|index| ceil(text, index)).collect();
        assert_eq!(ceils, [0, 1, 3, 3, 6, 6, 6, 7, 7]);
        assert_eq!((floor("", 3), ceil("", 3)), (0, 0));
    }
}
