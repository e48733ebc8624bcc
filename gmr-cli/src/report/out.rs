//! Where a report of `gmr report` goes: to standard output, to the pager, to a new file, or to a
//! browser.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gmr_runtime::__cli::printable;

use crate::args;
use crate::output::{self, Stream};

pub(crate) enum Out {
    Standard(Stream),
    /// `None` until there is something to write.
    File {
        file: Option<File>,
        path: PathBuf,
    },
}

impl Out {
    /// A file, if there is to be one, is made once there is something to write. It is new, and its
    /// user's only: a report can have what others are not to read, and root must not write into what
    /// somebody has put in its place.
    pub(super) fn new(args: &args::Report, token: u32, pager: bool) -> Result<Self, String> {
        let of_browser = || {
            let name = format!("gmr-report-{token:08x}.html");
            args.browser.then(|| std::env::temp_dir().join(name))
        };
        Self::to(args.output.clone().or_else(of_browser), pager)
    }

    /// To this file, or to standard output.
    pub(crate) fn to(path: Option<PathBuf>, pager: bool) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self::Standard(Stream::new(pager))) };
        // Before the process is asked. A link that leads nowhere counts.
        match fs::symlink_metadata(&path) {
            Ok(_) => return Err(exists(&path)),
            Err(error) if error.kind() == ErrorKind::NotFound && folder(&path).is_dir() => {}
            Err(error) => return Err(format!("could not create {}: {error}", path.display())),
        }
        Ok(Self::File { file: None, path })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Standard(stream) => stream.write(bytes),
            Self::File { .. } if bytes.is_empty() => Ok(()),
            Self::File { file, path } => {
                let file = match file {
                    Some(file) => file,
                    None => file.insert(create(path)?),
                };
                file.write_all(bytes).map_err(|error| format!("could not write {}: {error}", path.display()))
            }
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Standard(stream) if stream.is_closed())
    }

    /// Whether what is written is seen at once.
    pub(super) fn is_on_terminal(&self) -> bool {
        matches!(self, Self::Standard(_)) && io::stdout().is_terminal()
    }

    /// Ends it, whether all was `written` or not.
    pub(crate) fn end(self, written: Result<(), String>, browser: bool) -> Result<(), String> {
        match self {
            Self::Standard(stream) => stream.end().and(written),
            Self::File { file, path } => {
                written?;
                if browser && file.is_some() { browse(&path) } else { Ok(()) }
            }
        }
    }
}

fn create(path: &Path) -> Result<File, String> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => format!("could not create {}: {error}", path.display()),
    })
}

fn exists(path: &Path) -> String {
    format!("{} exists; remove it, or name another file", path.display())
}

/// Where the file will be.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Has the operator's browser show a file.
fn browse(path: &Path) -> Result<(), String> {
    let chosen = std::env::var("BROWSER").ok().filter(|chosen| !chosen.is_empty());
    // It can have arguments, and be the first of several.
    let chosen = chosen.as_deref().and_then(|chosen| chosen.split(':').next()).unwrap_or("xdg-open");
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec {chosen} \"$0\"")).arg(path);
    let (nothing, shown) = (Stdio::null, path.display());
    // It may run until its window is closed.
    let started = command.stdin(nothing()).stdout(nothing()).stderr(nothing()).spawn();
    started.map_err(|error| format!("could not start a browser: {error}; the page is in {shown}"))?;
    output::warn(&format!("the page is in {shown}"));
    Ok(())
}

/// Text that comes in pieces, without anything that a terminal would interpret.
#[derive(Default)]
pub(super) struct Lines {
    /// The beginning of a line.
    open: Vec<u8>,
}

/// Where a line without end is cut. Those of gmr are shorter.
const MAX_LINE: usize = 1 << 20;

impl Lines {
    /// The lines that are complete with these bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.open.len() > MAX_LINE {
                shown.append(&mut self.end());
            }
        }
        shown
    }

    /// What is left.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.open);
        let (text, end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, "\n"),
            None => (&*line, ""),
        };
        let text = String::from_utf8_lossy(text);
        let shown: Cow<'_, str> = printable(&text);
        [shown.as_bytes(), end.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = "one\n\u{1b}[31mtwo\u{9b}\n\ngröße\nlast";
        let expected = "one\n\\u{1b}[31mtwo\\u{9b}\n\ngröße\nlast";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut shown: Vec<u8> =
                text.as_bytes().chunks(size).flat_map(|piece| lines.add(piece)).collect();
            shown.extend(lines.end());
            assert_eq!(String::from_utf8(shown).expect("text"), expected, "{size}");
        }
        let mut lines = Lines::default();
        assert_eq!(lines.add(b"a\xff\x1b\n"), "a\u{fffd}\\u{1b}\n".as_bytes());
        let shown = lines.add(&vec![b'x'; MAX_LINE + 2]);
        assert!(shown.len() == MAX_LINE + 2 && lines.open.is_empty(), "a line without end");
    }
}
