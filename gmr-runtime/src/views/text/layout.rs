//! The layout: titles, and the width of a line.

use crate::views::escape::clean;

/// The line width, in columns. Lines with data can be longer.
pub(super) const WIDTH: usize = 72;

/// Called between the groups of a long section, and between the names of a long group. It can take
/// the text written so far.
pub(super) type Flush<'a> = dyn FnMut(&mut String) + 'a;

/// `====`, the title centered in 64 columns, and `====`, between two full lines.
pub(super) fn title(title: &str) -> String {
    let line = "=".repeat(WIDTH);
    format!("{line}\n{}\n{line}\n", framed(&clean(title)))
}

pub(super) fn framed(text: &str) -> String {
    format!("===={text:^64}====")
}
