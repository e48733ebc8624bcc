//! The places in the code of a function that paths have been at.

/// Where paths have been, one place for each byte of the code: with a release pending, and without.
pub(super) struct Visited(Vec<[bool; 2]>);

impl Visited {
    pub(super) fn none(length: usize) -> Self {
        Self(vec![[false; 2]; length + 1])
    }

    /// False if a path has been there, or if it is beyond the code.
    pub(super) fn insert(&mut self, offset: usize, pending: bool) -> bool {
        let place = self.0.get_mut(offset).map(|place| &mut place[usize::from(pending)]);
        place.is_some_and(|was_there| !std::mem::replace(was_there, true))
    }
}
