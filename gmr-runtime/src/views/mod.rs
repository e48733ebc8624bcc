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
#[cfg(all(test, feature = "html", feature = "json", feature = "xml"))]
mod properties;
pub(crate) mod text;
mod words;
#[cfg(feature = "xml")]
mod xml;

pub use format::Format;
pub(crate) use format::written;

/// How much of each stack is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    /// Without the frames that the runtime puts around every stack.
    #[default]
    Short,
    /// All frames.
    Full,
}
