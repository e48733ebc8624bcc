//! Which view a report is written in, and the one place that knows all of them.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::Detail;
use super::text;
use crate::error::{Error, ErrorKind};
use crate::model::Report;

/// What a report is written as. All but text are behind a feature of the same name; `json` has two.
///
/// ```
/// use gmr_runtime::Format;
///
/// assert_eq!("text".parse::<Format>()?, Format::Text);
/// assert_eq!(Format::default(), Format::Text);
/// # Ok::<(), gmr_runtime::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// As a person reads it on a terminal or in a log.
    #[default]
    Text,
    /// One JSON object on one line. Feature `json`.
    #[cfg(feature = "json")]
    Json,
    /// The same JSON object in pieces, one a line, each below 48 KiB: for logs that cut longer lines. Feature `json`.
    #[cfg(feature = "json")]
    JsonLines,
    /// XML. Feature `xml`.
    #[cfg(feature = "xml")]
    Xml,
    /// A page for a browser, all in one file. Feature `html`.
    #[cfg(feature = "html")]
    Html,
}

/// Every name, the format where this build has it, and the feature it needs.
const NAMES: [(&str, Option<Format>, &str); 5] = [
    ("text", Some(Format::Text), ""),
    #[cfg(feature = "json")]
    ("json", Some(Format::Json), "json"),
    #[cfg(feature = "json")]
    ("json-lines", Some(Format::JsonLines), "json"),
    #[cfg(not(feature = "json"))]
    ("json", None, "json"),
    #[cfg(not(feature = "json"))]
    ("json-lines", None, "json"),
    #[cfg(feature = "xml")]
    ("xml", Some(Format::Xml), "xml"),
    #[cfg(not(feature = "xml"))]
    ("xml", None, "xml"),
    #[cfg(feature = "html")]
    ("html", Some(Format::Html), "html"),
    #[cfg(not(feature = "html"))]
    ("html", None, "html"),
];

impl Format {
    /// Its name: `text`, `json`, `json-lines`, `xml`, `html`.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, format, _)| *format == Some(self)).map_or("text", |(name, ..)| name)
    }

    /// What HTTP calls it: `text/plain; charset=utf-8`, `application/json`, ...
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            #[cfg(feature = "json")]
            Self::Json => "application/json",
            #[cfg(feature = "json")]
            Self::JsonLines => "application/jsonl",
            #[cfg(feature = "xml")]
            Self::Xml => "application/xml",
            #[cfg(feature = "html")]
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    /// # Errors
    /// There is no such format, or this build has it not.
    fn from_str(name: &str) -> Result<Self, Error> {
        let wanted = name.trim().to_ascii_lowercase().replace('_', "-");
        let message = match NAMES.iter().find(|(known, ..)| *known == wanted) {
            Some((_, Some(format), _)) => return Ok(*format),
            Some((known, None, feature)) => {
                format!("this program cannot write `{known}`: it was built without gmr's feature `{feature}`")
            }
            None => {
                let names: Vec<_> = NAMES.iter().map(|(name, ..)| *name).collect();
                format!("`{name}` is no format of reports; there are {}", names.join(", "))
            }
        };
        Err(Error::new(ErrorKind::UnknownFormat, message))
    }
}

/// Writes a report, its last line ended.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(
    report: &Report,
    format: Format,
    detail: Detail,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Text => text::write(report, detail, out),
        #[cfg(feature = "json")]
        Format::Json => super::json::write(report, out),
        #[cfg(feature = "json")]
        Format::JsonLines => super::json::write_lines(report, out),
        #[cfg(feature = "xml")]
        Format::Xml => super::xml::write(report, out),
        #[cfg(feature = "html")]
        Format::Html => super::html::write(report, detail, out),
    }
}

/// The same, into memory.
pub(crate) fn written(report: &Report, format: Format, detail: Detail) -> Vec<u8> {
    let mut memory = Memory(Vec::new());
    write(report, format, detail, &mut memory).expect("memory takes whatever is written to it");
    memory.0
}

/// Memory that grows by an eighth: a report is megabytes, and the process that it is about may have few left.
struct Memory(Vec<u8>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.capacity() - self.0.len() < bytes.len() {
            self.0.reserve_exact(bytes.len().max(self.0.len() / 8).max(1 << 10));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In each format, its stacks without the runtime's own frames where a person reads them.
impl Report {
    /// Writes it in this format, piece by piece.
    ///
    /// ```
    /// use gmr_runtime::{Format, Report};
    ///
    /// let mut file = Vec::new(); // or a file
    /// Report::capture().write_to(&mut file, Format::Text)?;
    /// assert!(file.ends_with(b"====\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, mut out: impl io::Write, format: Format) -> io::Result<()> {
        write(self, format, Detail::Short, &mut out)
    }

    /// As a person reads it on a terminal or in a log: what `Display` shows.
    ///
    /// ```
    /// let text = gmr_runtime::Report::capture().to_text();
    /// assert!(text.contains("Threads"));
    /// ```
    pub fn to_text(&self) -> String {
        self.written(Format::Text)
    }

    /// As one JSON object on one line, in the form that `docs/report-schema.md` describes. [`from_json`](Self::from_json) reads it back.
    ///
    /// ```
    /// # use gmr_runtime::Report;
    /// let report = Report::capture();
    /// assert_eq!(Report::from_json(&report.to_json())?, report);
    /// # Ok::<(), gmr_runtime::Error>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> String {
        self.written(Format::Json)
    }

    /// The same JSON object in pieces, one a line, each line below 48 KiB: for logs that cut longer ones, as journald does (`LineMax=`). Each is an object with the id of the report
    /// (`gmr_report`), the number of the piece from 1 (`part`), how many there are (`parts`), and the piece itself (`json`).
    #[cfg(feature = "json")]
    pub fn to_json_lines(&self) -> String {
        self.written(Format::JsonLines)
    }

    /// As XML, in the form that `docs/report.rng` describes.
    #[cfg(feature = "xml")]
    pub fn to_xml(&self) -> String {
        self.written(Format::Xml)
    }

    /// As a page for a browser, all in one file.
    #[cfg(feature = "html")]
    pub fn to_html(&self) -> String {
        self.written(Format::Html)
    }

    fn written(&self, format: Format) -> String {
        let bytes = written(self, format, Detail::Short);
        String::from_utf8(bytes).expect("every view writes UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_says_what_it_needs() {
        for (name, format, feature) in NAMES {
            match (format, name.parse::<Format>()) {
                (Some(format), Ok(parsed)) => {
                    assert_eq!((format, parsed.name(), parsed.to_string().as_str()), (parsed, name, name));
                }
                (None, Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::UnknownFormat);
                    assert!(error.to_string().contains(&format!("feature `{feature}`")), "{error}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        let error = "yaml".parse::<Format>().unwrap_err().to_string();
        assert_eq!(error, "`yaml` is no format of reports; there are text, json, json-lines, xml, html");
        assert_eq!(" TEXT ".parse::<Format>().unwrap(), Format::Text);
    }
}
