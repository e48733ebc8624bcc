//! The errors of this crate. They are opaque: a message for people, and a kind or a position for
//! programs.
//!
//! A message says what failed and on what. It leaves out the cause, which [`source`] returns, so
//! that a program which prints the chain prints each part once.
//!
//! [`source`]: std::error::Error::source

use std::fmt;

/// Why gmr could not be installed, or why a value is invalid.
///
/// The message leaves out the cause that [`source`](std::error::Error::source) returns; print both.
///
/// ```
/// use gmr_runtime::{Builder, ErrorKind};
///
/// let error = Builder::new().signal("SIGUSR3").install().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownSignal);
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<std::io::Error>,
}

/// The kind of an [`Error`].
///
/// ```
/// use gmr_runtime::{ErrorKind, Format};
///
/// let error = "yaml".parse::<Format>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownFormat);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// gmr is already installed in this process.
    AlreadyInstalled,
    /// This platform has no such signal.
    UnknownSignal,
    /// The signal cannot be caught, or it reports a fault of the program itself.
    ForbiddenSignal,
    /// There is no such report format, or its feature is disabled.
    UnknownFormat,
    /// There is no such built-in section.
    UnknownSection,
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

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// An error and its causes on one line, for what gmr itself prints.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"))
}

/// Why text is not a report: the error of [`Report::from_json`](crate::Report::from_json) and
/// [`Report::from_json_lines`](crate::Report::from_json_lines). Feature `json`.
///
/// ```
/// use gmr_runtime::Report;
///
/// let error = Report::from_json("{\n  \"schema_version\": 1\n}").unwrap_err();
/// assert_eq!(error.line(), Some(2));
/// assert!(error.to_string().starts_with("not a report: invalid type: integer `1`"));
/// ```
#[cfg(feature = "json")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseReportError {
    message: String,
    /// Line and column.
    position: Option<(usize, usize)>,
}

#[cfg(feature = "json")]
impl ParseReportError {
    /// The text is JSON, but not a report.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None }
    }

    /// The same about a text with other positions.
    pub(crate) fn without_position(self) -> Self {
        let Some((line, column)) = self.position else { return self };
        let message = self.message.trim_end_matches(&format!(" at line {line} column {column}"));
        Self { message: message.to_owned(), position: None }
    }

    /// The line of the JSON at which the error was detected, counted from 1. `None` if the JSON is
    /// well-formed but is not a complete report of a schema version that this release reads, or if
    /// it has the data of a section before its kind.
    ///
    /// For JSON lines, the position refers to the JSON of the joined pieces.
    pub fn line(&self) -> Option<usize> {
        self.position.map(|(line, _)| line)
    }

    /// The column in that [`line`](Self::line), in bytes, counted from 1.
    pub fn column(&self) -> Option<usize> {
        self.position.map(|(_, column)| column)
    }
}

#[cfg(feature = "json")]
impl From<serde_json::Error> for ParseReportError {
    fn from(error: serde_json::Error) -> Self {
        // `serde_json` has line 0 where it knows no position.
        let position = (error.line() > 0).then(|| (error.line(), error.column()));
        Self { message: error.to_string(), position }
    }
}

#[cfg(feature = "json")]
impl fmt::Display for ParseReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a report: {}", self.message)
    }
}

#[cfg(feature = "json")]
impl std::error::Error for ParseReportError {}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn a_message_does_not_repeat_its_cause() {
        let error = Error::system("could not install", io::Error::other("no descriptors left"));
        assert_eq!(error.to_string(), "could not install");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("no descriptors left"));
        assert_eq!(chain(&error), "could not install: no descriptors left");
        assert_eq!(chain(&Error::new(ErrorKind::UnknownSignal, "no such signal")), "no such signal");
    }
}
