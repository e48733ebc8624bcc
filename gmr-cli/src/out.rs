//! Where a report or a profile goes: to standard output, to the pager, to a new file, or to a browser.

use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    /// To this file, or to standard output. The file is made once there is something to write. It is
    /// new, and its user's only: a report can have what others are not to read, and root must not
    /// write into what somebody has put in its place.
    pub(crate) fn new(path: Option<PathBuf>, pager: bool) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self::Standard(Stream::new(pager))) };
        // Before any work is done. A link that leads nowhere counts.
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
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Standard(stream) if stream.is_closed())
    }

    /// Whether what is written is seen at once.
    pub(crate) fn is_on_terminal(&self) -> bool {
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
