//! The report itself in its page, as JSON: the page can be saved as JSON, and compared with another
//! report. A browser does not run it, and data cannot end it.

use std::io::{self, Write};

use super::out::{Out, Written};
use crate::model::Report;

/// The most bytes of a page with it. A larger report is not in its page.
const MAX_WHOLE: usize = 5_000_000;

/// Writes it, if there is space in the page, of which so many bytes are still to come.
pub(super) fn write(report: &Report, to_come: usize, out: &mut Out<'_>) -> Written {
    let mut space = Space { left: MAX_WHOLE.saturating_sub(out.written() + to_come) };
    if crate::views::json::write(report, &mut Escaped { out: &mut space }).is_err() {
        return Ok(());
    }
    out.write("<script type=\"application/json\" id=\"report\">")?;
    crate::views::json::write(report, &mut Escaped { out: out.bytes() })?;
    out.write("</script>")
}

/// Counts, and fails when there is no space left.
struct Space {
    left: usize,
}

impl Write for Space {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::StorageFull.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes JSON without an opening angle bracket, which only its strings have.
struct Escaped<'a> {
    out: &'a mut dyn Write,
}

impl Write for Escaped<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (index, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if index > 0 {
                self.out.write_all(b"\\u003c")?;
            }
            self.out.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
