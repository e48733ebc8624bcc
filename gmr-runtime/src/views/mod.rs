//! Renders the model as text, JSON, XML and HTML. A view reads the model and nothing else.
//!
//! Text and HTML share the escaping of data (`escape`), the choice of frames (`folding`, by
//! whose code they are: `owner`), the grouping of threads and tasks (`grouping`), and the wording
//! (`words`).

mod escape;
mod fit;
mod folding;
mod format;
mod grouping;
#[cfg(feature = "html")]
mod html;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "__cli")]
mod lines;
mod outline;
mod owner;
mod path;
mod room;
mod stream;
#[cfg(all(test, not(gmr_units), feature = "html", feature = "json", feature = "xml"))]
pub(crate) mod tests;
mod text;
mod words;
#[cfg(feature = "xml")]
mod xml;

pub(crate) use folding::Known;
pub use format::Format;
pub(crate) use format::render;
#[cfg(all(feature = "__cli", feature = "html"))]
pub use html::Flame;
#[cfg(all(feature = "__cli", feature = "html"))]
pub(crate) use html::{FLAME_SCRIPT, STYLE};
#[cfg(feature = "__cli")]
pub use lines::{Line, Lines};
#[cfg(feature = "tracing")]
pub(crate) use outline::findings;
pub(crate) use outline::{outline, printable};
pub(crate) use stream::{Piece, Stream};

/// How much of each stack is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    /// Without the runtime's frames at both ends.
    #[default]
    Short,
    /// All frames.
    Full,
}

/// What a view needs in addition to the part that it shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The report's frames, which its stacks index.
    frames: &'a [Known<'a>],
    detail: Detail,
    /// How much more is shown.
    room: &'a room::Room,
}
