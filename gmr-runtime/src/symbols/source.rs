//! Lines of source files, where they can be read. Each file is read once per report and only if it is an ordinary file of ordinary size.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::mask;

/// No source file that a person wrote is larger.
const LARGEST: u64 = 4 << 20;

/// The files that have been read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: HashMap<String, Option<String>>,
}

impl Sources {
    /// The text of a line (counted from 1), without the blanks around it; secrets that someone wrote into the source are masked like any other.
    pub(super) fn line(&mut self, file: &str, line: u32) -> Option<String> {
        if !self.files.contains_key(file) {
            self.files.insert(file.to_owned(), read(Path::new(file)));
        }
        let text = self.files.get(file)?.as_deref()?;
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        let line = text.lines().nth(index)?.trim();
        (!line.is_empty()).then(|| mask::text(line).into_owned())
    }
}

/// Opening a named pipe or a device could block or do harm: only ordinary files are opened.
fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= LARGEST).then(|| fs::read_to_string(path).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_trimmed() {
        let mut sources = Sources::default();
        let first = sources.line(concat!(env!("CARGO_MANIFEST_DIR"), "/src/symbols/source.rs"), 1).unwrap();
        assert!(first.starts_with("//! Lines of source files"));
    }

    #[test]
    fn what_cannot_be_read_is_no_line() {
        let mut sources = Sources::default();
        assert_eq!(sources.line("/nonexistent/main.rs", 1), None);
        assert_eq!(sources.line("/dev/zero", 1), None);
        assert_eq!(sources.line(file!(), 0), None);
        assert_eq!(sources.line(file!(), 1_000_000), None);
    }
}
