//! The one error of this crate: opaque, with a kind to match on and a message for the person who reads it.

use std::fmt;

/// Why gmr could not do what it was asked for.
///
/// ```
/// let error = gmr_runtime::Builder::new().signal("SIGUSR3").install().unwrap_err();
/// assert_eq!(error.kind(), gmr_runtime::ErrorKind::UnknownSignal);
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<std::io::Error>,
}

/// What sort of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// gmr is installed in this process already.
    AlreadyInstalled,
    /// The signal is not known on this platform.
    UnknownSignal,
    /// The signal cannot be caught, or is raised by faults of the program itself.
    ForbiddenSignal,
    /// There is no such format of reports, or the program was built without it.
    UnknownFormat,
    /// What should be a report is none, or is one of another schema.
    InvalidReport,
    /// The operating system refused a thread, a descriptor or a signal handler.
    System,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn system(what: &str, source: std::io::Error) -> Self {
        Self { kind: ErrorKind::System, message: what.to_owned(), source: Some(source) }
    }

    /// What sort of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
