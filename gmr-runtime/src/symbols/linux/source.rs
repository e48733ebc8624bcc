//! Lines of source files, where those can be read. A file is read at most once per report, and only
//! if it is a regular file of a plausible size.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::mask;

/// No source file that a person wrote is larger.
const MAX_SIZE: u64 = 4 << 20;

/// The source files that have been read, by path; `None` for one that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: HashMap<String, Option<String>>,
}

impl Sources {
    /// The text of a line (counted from 1), trimmed. Secrets in the source are masked like any
    /// others.
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

/// Opens regular files only: opening a named pipe or a device can block or have side effects.
fn read(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    (metadata.is_file() && metadata.len() <= MAX_SIZE).then(|| fs::read_to_string(path).ok())?
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
    fn an_unreadable_file_or_a_missing_line_is_none() {
        let mut sources = Sources::default();
        assert_eq!(sources.line("/nonexistent/main.rs", 1), None);
        assert_eq!(sources.line("/dev/zero", 1), None);
        assert_eq!(sources.line(file!(), 0), None);
        assert_eq!(sources.line(file!(), 1_000_000), None);
    }
}
