//! From the model to bytes. A view knows the model and nothing else.
//!
//! What every view that a person reads says and shows alike stands here: how data is made harmless (`escape`), which frames are left out (`folding`), what belongs together (`grouping`), and
//! the sentences (`words`).

mod escape;
mod folding;
mod format;
mod grouping;
#[cfg(feature = "html")]
mod html;
#[cfg(feature = "json")]
mod json;
mod stream;
#[cfg(all(test, feature = "html", feature = "json", feature = "xml"))]
mod tests;
mod text;
mod words;
#[cfg(feature = "xml")]
mod xml;

use crate::model::{Frame, Stack};

pub use format::Format;
pub(crate) use format::written;
pub(crate) use stream::{Piece, Stream};

/// How much of each stack is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    /// Without the frames that the runtime puts around every stack.
    #[default]
    Short,
    /// All frames.
    Full,
}

/// What a view needs beside the part that it shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The frames that the report's stacks hold indices into.
    pub(crate) frames: &'a [Frame],
    pub(crate) detail: Detail,
}

impl<'a> Context<'a> {
    /// The frames of a stack, innermost first.
    fn frames_of(self, stack: &Stack) -> Vec<&'a Frame> {
        let frame = |&index: &u32| self.frames.get(usize::try_from(index).ok()?);
        stack.frames.iter().filter_map(frame).collect()
    }
}
