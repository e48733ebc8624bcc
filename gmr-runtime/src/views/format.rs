//! The report formats: their names, their media types, and the view that writes each. No other
//! module lists them all.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::Detail;
use super::text;
use crate::error::{Error, ErrorKind};
use crate::model::Report;

/// The format of a report. Each format but text needs a feature.
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
    /// Text for a terminal or a log.
    #[default]
    Text,
    /// One JSON object on one line. Feature `json`.
    #[cfg(feature = "json")]
    Json,
    /// The JSON object in pieces, one per line and each shorter than 16 KiB, for logs that cut
    /// longer lines. Feature `json`.
    #[cfg(feature = "json")]
    JsonLines,
    /// XML. Feature `xml`.
    #[cfg(feature = "xml")]
    Xml,
    /// A self-contained HTML page. Feature `html`.
    #[cfg(feature = "html")]
    Html,
}

/// Every name, its format if the feature is enabled, and the feature that it needs.
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
    /// The name: `text`, `json`, `json-lines`, `xml` or `html`.
    ///
    /// ```
    /// assert_eq!(gmr_runtime::Format::Text.name(), "text");
    /// ```
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, format, _)| *format == Some(self)).map_or("text", |(name, ..)| name)
    }

    /// The extension of a file with such a report.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            #[cfg(feature = "json")]
            Self::Json => "json",
            #[cfg(feature = "json")]
            Self::JsonLines => "jsonl",
            #[cfg(feature = "xml")]
            Self::Xml => "xml",
            #[cfg(feature = "html")]
            Self::Html => "html",
        }
    }

    /// The media type: `text/plain; charset=utf-8`, `application/json` and so on.
    ///
    /// ```
    /// assert_eq!(gmr_runtime::Format::Text.media_type(), "text/plain; charset=utf-8");
    /// ```
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
    /// There is no such format, or its feature is disabled.
    fn from_str(name: &str) -> Result<Self, Error> {
        let wanted = name.trim().to_ascii_lowercase().replace('_', "-");
        let message = match NAMES.iter().find(|(known, ..)| *known == wanted) {
            Some((_, Some(format), _)) => return Ok(*format),
            Some((known, None, feature)) => {
                format!("gmr cannot write `{known}`: the feature `{feature}` is disabled")
            }
            None => {
                let names: Vec<_> = NAMES.iter().map(|(name, ..)| *name).collect();
                format!("unknown report format `{name}`; expected one of {}", names.join(", "))
            }
        };
        Err(Error::new(ErrorKind::UnknownFormat, message))
    }
}

/// Writes a report. Its last line ends with a line feed.
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

/// Renders a report in memory.
pub(crate) fn render(report: &Report, format: Format, detail: Detail) -> Vec<u8> {
    let mut buffer = Buffer(Vec::new());
    write(report, format, detail, &mut buffer).expect("writing to memory cannot fail");
    buffer.0
}

/// Grows by an eighth rather than by doubling: a report can take megabytes, in a process that may
/// be short of memory.
struct Buffer(Vec<u8>);

impl io::Write for Buffer {
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

/// Text and HTML omit the runtime's frames at both ends of a stack. JSON and XML have all frames.
impl Report {
    /// Writes the report in this format.
    ///
    /// Makes many small writes: wrap a file or a socket in a [`BufWriter`](io::BufWriter).
    ///
    /// ```
    /// use gmr_runtime::{Format, Report};
    ///
    /// let mut file = Vec::new(); // or a `File`
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

    /// The report as text, which is also what `Display` writes.
    ///
    /// ```
    /// let text = gmr_runtime::Report::capture().to_text();
    /// assert!(text.contains("Threads"));
    /// ```
    pub fn to_text(&self) -> String {
        self.render_to_string(Format::Text)
    }

    /// The report as one JSON object on one line, in the form that `docs/report-schema.md`
    /// describes. [`from_json`](Self::from_json) reads it back. Feature `json`.
    ///
    /// ```
    /// use gmr_runtime::Report;
    ///
    /// let report = Report::capture();
    /// assert_eq!(Report::from_json(&report.to_json())?, report);
    /// # Ok::<(), gmr_runtime::ParseReportError>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> String {
        self.render_to_string(Format::Json)
    }

    /// The JSON object in pieces, one per line and each shorter than 16 KiB, for logs that cut
    /// longer lines, as Docker and Kubernetes do. [`from_json_lines`](Self::from_json_lines)
    /// reads them back. Feature `json`.
    ///
    /// Each line is an object: the report's id (`gmr_report`), the number of the piece, from 1
    /// (`part`), the number of pieces (`parts`), and the piece itself (`json`).
    ///
    /// ```
    /// let lines = gmr_runtime::Report::capture().to_json_lines();
    /// assert!(lines.lines().all(|line| line.len() < 16 << 10));
    /// ```
    #[cfg(feature = "json")]
    pub fn to_json_lines(&self) -> String {
        self.render_to_string(Format::JsonLines)
    }

    /// The report as XML, in the form that `docs/report.rng` describes. Feature `xml`.
    ///
    /// ```
    /// assert!(gmr_runtime::Report::capture().to_xml().starts_with("<?xml"));
    /// ```
    #[cfg(feature = "xml")]
    pub fn to_xml(&self) -> String {
        self.render_to_string(Format::Xml)
    }

    /// The report as a self-contained HTML page. Feature `html`.
    ///
    /// ```
    /// assert!(gmr_runtime::Report::capture().to_html().starts_with("<!DOCTYPE html>"));
    /// ```
    #[cfg(feature = "html")]
    pub fn to_html(&self) -> String {
        self.render_to_string(Format::Html)
    }

    fn render_to_string(&self, format: Format) -> String {
        let bytes = render(self, format, Detail::Short);
        String::from_utf8(bytes).expect("every view writes UTF-8")
    }
}

#[cfg(all(test, not(gmr_units)))]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_or_names_the_feature_it_needs() {
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
        assert_eq!(error, "unknown report format `yaml`; expected one of text, json, json-lines, xml, html");
        assert_eq!(" TEXT ".parse::<Format>().unwrap(), Format::Text);
    }
}
