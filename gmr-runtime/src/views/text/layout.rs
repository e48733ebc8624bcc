//! The look: titles, and the width of a line.

use crate::views::escape::clean;

/// The width of everything that is not data.
pub(super) const WIDTH: usize = 72;

/// Called between the groups of a long section, and between the names of a long group: what has been written so far may be taken.
pub(super) type Flush<'a> = dyn FnMut(&mut String) + 'a;

/// `====`, the title centred in 64 columns, `====`, between two full lines.
pub(super) fn title(title: &str) -> String {
    let line = "=".repeat(WIDTH);
    format!("{line}\n{}\n{line}\n", framed(&clean(title)))
}

pub(super) fn framed(text: &str) -> String {
    format!("===={text:^64}====")
}
