//! Where collected reports go: to standard output, one a line, or each to a new file in a folder. A
//! report can have what others are not to read, so the files are their user's only, and nothing
//! that is there already is written to.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags};

pub(crate) enum Kept {
    Lines {
        is_closed: bool,
    },
    Folder {
        /// Opened once: what is put in its place later does not get the reports.
        folder: OwnedFd,
        path: PathBuf,
        /// The time of this run, as in `20260102T030405Z`.
        time: String,
        /// How many digits the number of an endpoint has.
        digits: usize,
    },
}

impl Kept {
    /// In a folder, which is made if it is not there, or else on standard output.
    pub(crate) fn new(path: Option<&Path>, endpoints: usize) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self::Lines { is_closed: false }) };
        let failed = |error: io::Error| format!("could not use the folder {}: {error}", path.display());
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(['-', ':'], "");
        Ok(Self::Folder { folder, path: path.to_owned(), time, digits: endpoints.to_string().len() })
    }

    /// Keeps the report of the endpoint at this place, from 1.
    pub(crate) fn add(&mut self, place: usize, endpoint: &str, json: &str) -> Result<(), String> {
        match self {
            Self::Lines { is_closed } => {
                let mut out = io::stdout().lock();
                match out.write_all(format!("{json}\n").as_bytes()).and_then(|()| out.flush()) {
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => *is_closed = true,
                    written => {
                        written.map_err(|error| format!("could not write to standard output: {error}"))?;
                    }
                }
                Ok(())
            }
            Self::Folder { folder, path, time, digits } => {
                let endpoint = part_of_name(endpoint);
                let name = format!("{time}-{place:0digits$}-{endpoint}.json", digits = *digits);
                create(folder, &name, json)
                    .map_err(|error| format!("could not write {}: {error}", path.join(&name).display()))
            }
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Lines { is_closed: true })
    }
}

/// Of a file that could not be written to its end, nothing stays.
fn create(folder: &OwnedFd, name: &str, json: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file: File = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?.into();
    let written = file.write_all(json.as_bytes()).and_then(|()| file.write_all(b"\n"));
    if written.is_err() {
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
    written
}

/// Of the name of a file.
fn part_of_name(endpoint: &str) -> String {
    const MAX: usize = 80;
    let known = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    endpoint.chars().take(MAX).map(known).collect()
}
